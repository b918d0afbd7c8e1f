import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.KeyPairGenerator;
import java.security.SecureRandom;
import java.time.Instant;
import java.time.ZoneId;
import java.util.Locale;
import java.util.Properties;
import java.util.ResourceBundle;
import java.util.concurrent.Executors;
import java.util.logging.Logger;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.crypto.Cipher;
import javax.crypto.spec.SecretKeySpec;

/** Answers GET /WHAT?TEXT; each WHAT is another part of Java. */
public class Service {
    private static final Logger LOG = Logger.getLogger("service");
    private static final Path NOTES = Path.of("/data/notes");

    public static void main(String[] arguments) throws Exception {
        if (arguments.length > 0 && arguments[0].equals("--self-test")) {
            System.out.println(answer("sign", "") + " " + answer("hello", "Ada"));
            return;
        }
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 8080), 0);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/", Service::serve);
        server.start();
        LOG.info("listening");
    }

    private static void serve(HttpExchange exchange) throws IOException {
        String query = exchange.getRequestURI().getRawQuery();
        String text = query == null ? "" : URLDecoder.decode(query, StandardCharsets.UTF_8);
        int status = 200;
        byte[] body;
        try {
            body = (answer(exchange.getRequestURI().getPath().substring(1), text) + "\n").getBytes(StandardCharsets.UTF_8);
        } catch (Exception error) {
            LOG.warning(error.toString());
            status = error instanceof IllegalArgumentException ? 400 : 500;
            body = (error.getMessage() + "\n").getBytes(StandardCharsets.UTF_8);
        }
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    private static String answer(String what, String text) throws Exception {
        switch (what) {
            case "hello":
                try (InputStream page = Service.class.getResourceAsStream("/hello.html")) {
                    return String.format(new String(page.readAllBytes(), StandardCharsets.UTF_8), text).trim();
                }
            case "greeting":
                Properties properties = new Properties();
                try (InputStream in = Files.newInputStream(Path.of("service.properties"))) {
                    properties.load(in);
                }
                return properties.getProperty("greeting");
            case "words":
                return ResourceBundle.getBundle("words", Locale.forLanguageTag(text)).getString("hello");
            case "note":
                Files.writeString(NOTES, text + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
                return String.valueOf(Files.readAllLines(NOTES).size());
            case "time":
                return Instant.parse("2026-01-01T00:00:00Z").atZone(ZoneId.of(text)).toString();
            case "money":
                return java.text.NumberFormat.getCurrencyInstance(Locale.forLanguageTag(text)).format(1234.5);
            case "charset":
                return String.valueOf("日本".getBytes(Charset.forName(text)).length);
            case "sign":
                KeyPairGenerator pairs = KeyPairGenerator.getInstance("EC");
                pairs.initialize(256, new SecureRandom());
                return pairs.generateKeyPair().getPublic().getAlgorithm();
            case "cipher":
                Cipher cipher = Cipher.getInstance("AES/ECB/PKCS5Padding");
                cipher.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(new byte[16], "AES"));
                return String.valueOf(cipher.doFinal(text.getBytes()).length);
            case "zip":
                ByteArrayOutputStream bytes = new ByteArrayOutputStream();
                try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
                    zip.putNextEntry(new ZipEntry("a"));
                    zip.write(text.getBytes());
                }
                return String.valueOf(bytes.size() > 100);
            case "process":
                return String.valueOf(ProcessHandle.current().info().command().orElse("?").endsWith("java"));
            case "host":
                return String.valueOf(java.net.InetAddress.getByName(text).isLoopbackAddress());
            case "trust":
                javax.net.ssl.TrustManagerFactory trust = javax.net.ssl.TrustManagerFactory.getInstance("PKIX");
                trust.init((java.security.KeyStore) null);
                return String.valueOf(((javax.net.ssl.X509TrustManager) trust.getTrustManagers()[0]).getAcceptedIssuers().length > 50);
            case "beans":
                return java.lang.management.ManagementFactory.getRuntimeMXBean().getSpecVersion();
            default:
                throw new IllegalArgumentException("cannot do " + what);
        }
    }
}
