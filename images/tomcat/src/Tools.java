import jakarta.servlet.ServletException;
import jakarta.servlet.annotation.WebServlet;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringReader;
import java.net.URI;
import java.nio.charset.Charset;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.time.format.FormatStyle;
import java.util.HexFormat;
import java.util.Locale;
import java.util.zip.GZIPOutputStream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.xml.sax.InputSource;

/** One thing that Java can do for each value of "do". */
@WebServlet("/tools")
public class Tools extends HttpServlet {
    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException, ServletException {
        response.setContentType("text/plain;charset=UTF-8");
        String text = request.getParameter("text");
        try {
            response.getWriter().println(answer(String.valueOf(request.getParameter("do")), text));
        } catch (Exception error) {
            throw new ServletException(error);
        }
    }

    private static String answer(String what, String text) throws Exception {
        switch (what) {
            case "time":
                return Instant.parse("2026-07-01T12:00:00Z").atZone(ZoneId.of(text)).toString();
            case "date":
                return DateTimeFormatter.ofLocalizedDate(FormatStyle.FULL).withLocale(Locale.forLanguageTag(text))
                    .format(java.time.LocalDate.of(2026, 7, 1));
            case "hash":
                return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes("UTF-8")));
            case "encode":
                return String.valueOf("Grüße 茶".getBytes(Charset.forName(text)).length);
            case "zip":
                ByteArrayOutputStream bytes = new ByteArrayOutputStream();
                try (GZIPOutputStream out = new GZIPOutputStream(bytes)) {
                    out.write(text.repeat(1000).getBytes());
                }
                return String.valueOf(bytes.size() < 100);
            case "xml":
                return DocumentBuilderFactory.newInstance().newDocumentBuilder()
                    .parse(new InputSource(new StringReader(text))).getDocumentElement().getNodeName();
            case "tls":
                javax.net.ssl.SSLContext.getDefault().getSocketFactory();
                java.security.KeyStore trusted = java.security.KeyStore.getInstance(
                    new java.io.File(System.getProperty("java.home"), "lib/security/cacerts"), "changeit".toCharArray());
                return String.valueOf(trusted.size() > 50);
            case "fetch":
                return java.net.http.HttpClient.newHttpClient().send(
                    java.net.http.HttpRequest.newBuilder(URI.create(text)).build(),
                    java.net.http.HttpResponse.BodyHandlers.ofString()).body().trim();
            default:
                throw new IllegalArgumentException("cannot do " + what);
        }
    }
}
