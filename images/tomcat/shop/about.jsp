<%@ page contentType="text/html;charset=UTF-8" pageEncoding="UTF-8" %>
<%@ include file="WEB-INF/pages/foot.jspf" %>
<p>© 2026 Grüße</p>
