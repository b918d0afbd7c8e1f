<%@ page contentType="text/html;charset=UTF-8" %><h1>Hello, ${empty param.name ? "nobody" : param.name}</h1>
