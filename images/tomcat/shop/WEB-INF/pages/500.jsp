<%@ page contentType="text/html;charset=UTF-8" isErrorPage="true" %><h1>Something broke: <%= exception.getClass().getSimpleName() %></h1>
