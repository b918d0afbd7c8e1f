import jakarta.servlet.annotation.WebServlet;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;

/** Orders in a file, one a line. */
@WebServlet("/orders")
public class Orders extends HttpServlet {
    private static final Path FILE = Path.of("/data/orders.txt");

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        List<String> orders = Files.exists(FILE) ? Files.readAllLines(FILE) : List.of();
        response.setContentType("application/json;charset=UTF-8");
        response.getWriter().println("[" + String.join(",", orders.stream().map(order -> '"' + order + '"').toList()) + "]");
    }

    @Override
    protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
        request.setCharacterEncoding("UTF-8");
        String item = request.getParameter("item");
        if (item == null) {
            response.sendError(422, "no item");
            return;
        }
        Files.writeString(FILE, item + "\n", StandardCharsets.UTF_8, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        response.setStatus(201);
    }
}
