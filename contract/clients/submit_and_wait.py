"""Submits a task with the generated client, waits for its end and reads its result."""

import os
from uuid import UUID

from tasker_client import AuthenticatedClient
from tasker_client.api.tasks import get_task, get_task_result, submit_task
from tasker_client.models import NewTask

client = AuthenticatedClient(base_url=os.environ["BACKEND_URL"], token=os.environ["ACCESS_TOKEN"], timeout=90)

task_id = submit_task.sync(client=client, body=NewTask(type_="ECHO", parameters={"hello": [1, "two"]}, ttl=60_000))
assert isinstance(task_id, UUID), task_id
task = get_task.sync(task_id, client=client, prefer="wait=60")
assert task.status == "FINISHED", task
result = get_task_result.sync(task_id, client=client).result
assert result == {"hello": [1, "two"]}, result
print(f"Python: task {task_id} is {task.status}")
