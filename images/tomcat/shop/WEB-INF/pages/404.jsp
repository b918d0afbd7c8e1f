<%@ page contentType="text/html;charset=UTF-8" isErrorPage="true" %><h1>Not here</h1>
