import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.openapitools.client.ApiClient;
import org.openapitools.client.api.TasksApi;
import org.openapitools.client.model.NewTask;
import org.openapitools.client.model.Status;
import org.openapitools.client.model.Task;

/** Submits a task with the generated client, waits for its end and reads its result. */
public final class SubmitAndWait {
    public static void main(String[] arguments) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(System.getenv("BACKEND_URL"));
        client.setRequestInterceptor(
                request -> request.header("Authorization", "Bearer " + System.getenv("ACCESS_TOKEN")));
        TasksApi tasks = new TasksApi(client);

        Map<String, Object> parameters = Map.of("hello", List.of(1, "two"));
        NewTask newTask = new NewTask().type("ECHO").parameters(parameters).ttl(60_000L);
        UUID id = tasks.submitTask(newTask, null, null, null, null).getUUID();
        Task task = tasks.getTask(id, null, "wait=60", null);
        check(task.getStatus() == Status.FINISHED, task);
        Object result = tasks.getTaskResult(id, null, null).getResult();
        check(result.equals(parameters), result);
        System.out.println("Java: task " + id + " is " + task.getStatus());
    }

    private static void check(boolean holds, Object found) {
        if (!holds) throw new AssertionError(found);
    }
}
