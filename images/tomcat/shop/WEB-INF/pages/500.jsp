<%@ page contentType="text/html;charset=UTF-8" isErrorPage="true" %><h1>Something broke: ${pageContext.exception.class.simpleName}</h1>
