// Publish with an HttpClient, and open a WebSocket with the same one, which takes the connection that it has.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;

class UsedConnection {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        HttpRequest publish = HttpRequest.newBuilder(URI.create("http://" + arguments[0] + "/publish/a"))
            .header("Content-Type", "text/plain")
            .POST(HttpRequest.BodyPublishers.ofString("x"))
            .build();
        int status = client.send(publish, HttpResponse.BodyHandlers.ofString()).statusCode();
        if (status != 200) throw new IllegalStateException("status " + status);
        CompletableFuture<String> heard = new CompletableFuture<>();
        WebSocket socket = client.newWebSocketBuilder()
            .buildAsync(URI.create("ws://" + arguments[0] + "/ws/a?echo=1"), new WebSocket.Listener() {
                public CompletionStage<?> onText(WebSocket source, CharSequence data, boolean last) {
                    heard.complete(data.toString());
                    return null;
                }
            })
            .get(30, TimeUnit.SECONDS);
        socket.sendText("hello", true);
        System.out.println(heard.get(30, TimeUnit.SECONDS));
        System.exit(0);
    }
}
