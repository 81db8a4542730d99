import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tollgate.client.ApiClient;
import io.tollgate.client.ApiException;
import io.tollgate.client.Tollgate;
import io.tollgate.client.model.ChatRequest;
import io.tollgate.client.model.CreateJob;
import io.tollgate.client.model.CreateKey;
import io.tollgate.client.model.ErrorEnvelope;
import io.tollgate.client.model.Order;
import io.tollgate.client.model.RekeyRequest;
import io.tollgate.client.model.VolcengineRequest;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.List;
import java.util.Map;

/** The generated Java client against the sandbox, as somebody who reads its method names would use it. */
public final class Caller {
  private static void check(boolean holds, Object what) {
    if (!holds) {
      throw new AssertionError("unexpected: " + what);
    }
  }

  /** Reads a file that was answered, and removes it. */
  private static String text(File file) throws Exception {
    var content = Files.readAllBytes(file.toPath());
    Files.delete(file.toPath());
    return new String(content, StandardCharsets.ISO_8859_1);
  }

  public static void main(String[] arguments) throws Exception {
    ObjectMapper json = ApiClient.createDefaultObjectMapper();
    JsonNode sandbox = json.readTree(System.getenv("TOLLGATE_SANDBOX"));
    String url = sandbox.get("url").asText();
    var admin = new Tollgate(url, sandbox.get("admin_key").asText());

    var asked = new CreateKey().description("java")
        .addScopesItem(CreateKey.ScopesEnum.RELAY).addScopesItem(CreateKey.ScopesEnum.JOBS);
    var key = admin.keys().create(asked);
    check(key.getId().startsWith("key_"), key.getId());
    check(admin.keys().get(key.getId()).getDescription().equals("java"), key.getId());
    var client = new Tollgate(url, key.getSecretKey());
    check(client.me().getKey().getId().equals(key.getId()), key.getId());

    var task = new VolcengineRequest().reqKey("jimeng_t2i_v40").prompt("a lighthouse at dusk");
    var submitted = client.volcengine().submit(task, null);
    check(submitted.getCode() == 10000, submitted);
    var query = new VolcengineRequest().reqKey("jimeng_t2i_v40").taskId((String) submitted.getData().get("task_id"));
    var fetched = client.volcengine().getResult(query);
    for (int turn = 0; turn < 100 && !"done".equals(fetched.getData().get("status")); turn++) {
      Thread.sleep(200);
      fetched = client.volcengine().getResult(query);
      check(fetched.getCode() == 10000, fetched);
    }
    check(fetched.getData().get("binary_data_base64") != null, fetched.getCode());

    List<Map<String, Object>> messages = List.of(Map.of("role", "user", "content", "Say hello."));
    var question = new ChatRequest().model("gpt-4o-mini").messages(messages);
    var reply = client.openai().createChatCompletion(question, null);
    check(!((Map<?, ?>) reply.getChoices().get(0).get("message")).get("content").equals(""), reply);

    var work = new CreateJob().operation("chat.completions")
        .body(Map.of("model", "gpt-4o-mini", "messages", messages));
    var job = client.jobs().create(work, "java-1");
    check(client.jobs().create(work, "java-1").getId().equals(job.getId()), job);
    for (int turn = 0; turn < 100 && !job.getState().equals("succeeded"); turn++) {
      Thread.sleep(200);
      job = client.jobs().get(job.getId());
    }
    check(job.getCounts().getSucceeded() == 1, job);
    var items = client.jobs().listItems(job.getId(), null, null);
    check(((Map<?, ?>) items.getItems().get(0).getResult().getBody()).get("choices") != null, items);
    check(text(client.jobs().follow(job.getId(), null)).contains("\nevent: "), job);

    var used = client.me().getUsage(null, null, null, null);
    check(used.getItems().stream().anyMatch(item -> item.getOutputTokens() > 0), used);
    var spent = admin.usage().get(used.getFrom(), used.getTo(), "key", key.getId(), null, null, null);
    var calls = used.getItems().stream().mapToLong(item -> item.getCalls()).sum();
    check(spent.getItems().size() == 1 && spent.getItems().get(0).getCalls() == calls, spent);

    var page = admin.audit().list(5L, null, null, null, null);
    check(page.getItems().size() == 5, page);
    var next = admin.audit().list(5L, page.getNextCursor(), null, null, null);
    check(next.getItems().get(0).getId() == page.getItems().get(4).getId() - 1, next);
    var intents = admin.audit().list(null, null, "intent", null, Order.ASC);
    check(intents.getItems().get(0).getAdditionalProperty("operation") != null, intents);
    var checkpoint = admin.audit().getCheckpoint();
    check(checkpoint.getSeq() >= page.getItems().get(0).getId(), checkpoint);
    check(checkpoint.getText().contains(checkpoint.getPublicKey()), checkpoint);

    check(text(admin.operator().downloadBackup()).startsWith("tollgate backup\n"), "a backup");
    check(admin.operator().rekey(new RekeyRequest().deep(true)).getMasterKey().equals("current"), "a deep rekey");
    check(client.me().getKey().getId().equals(key.getId()), key.getId());

    try {
      client.keys().create(new CreateKey());
      throw new AssertionError("a key without the scope made a key");
    } catch (ApiException refused) {
      var envelope = json.readValue(refused.getResponseBody(), ErrorEnvelope.class);
      check(refused.getCode() == 403 && envelope.getError().getCode().equals("SCOPE_DENIED"), refused);
      check(envelope.getCode() == 50400, refused);
    }
  }
}
