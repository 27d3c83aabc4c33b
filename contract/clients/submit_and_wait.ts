// Submits a task with the generated client, waits for its end and reads its result.
import { Configuration } from "./client/runtime.js";
import { TasksApi } from "./client/apis/TasksApi.js";

const { BACKEND_URL: basePath, ACCESS_TOKEN: accessToken } = process.env;
const tasks = new TasksApi(new Configuration({ basePath, accessToken }));

const newTask = { type: "ECHO", parameters: { hello: [1, "two"] }, ttl: 60_000 };
const id = await tasks.submitTask({ newTask });
if (typeof id !== "string") throw new Error(`no id: ${JSON.stringify(id)}`);
const task = await tasks.getTask({ id, prefer: "wait=60" });
if (task.status !== "FINISHED") throw new Error(`not finished: ${JSON.stringify(task)}`);
const { result } = await tasks.getTaskResult({ id });
if (JSON.stringify(result) !== '{"hello":[1,"two"]}') throw new Error(`another result: ${JSON.stringify(result)}`);
console.log(`TypeScript: task ${id} is ${task.status}`);
