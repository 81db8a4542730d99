"""The generated Python client against the sandbox, as somebody who reads its method names would use it."""

import json
import os
import time

from tollgate import AuditPage, ChatRequest, CreateJob, CreateKey, ErrorEnvelope, RekeyRequest, VolcengineRequest
from tollgate.client import Tollgate
from tollgate.exceptions import ForbiddenException

sandbox = json.loads(os.environ["TOLLGATE_SANDBOX"])
admin = Tollgate(sandbox["url"], sandbox["admin_key"])

key = admin.keys.create(CreateKey(description="python", scopes=["relay", "jobs"]))
assert key.id.startswith("key_") and key.status == "active", key
assert admin.keys.get(key.id).description == "python"
client = Tollgate(sandbox["url"], key.secret_key)
assert client.me.get_key().id == key.id

task = VolcengineRequest(req_key="jimeng_t2i_v40", prompt="a lighthouse at dusk")
submitted = client.volcengine.submit(task)
assert submitted.code == 10000, submitted
asked = VolcengineRequest(req_key="jimeng_t2i_v40", task_id=submitted.data["task_id"])
for _ in range(100):
    fetched = client.volcengine.get_result(asked)
    assert fetched.code == 10000, fetched
    if fetched.data["status"] == "done":
        break
    time.sleep(0.2)
assert fetched.data["status"] == "done" and fetched.data["binary_data_base64"], fetched

question = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}
reply = client.openai.create_chat_completion(ChatRequest.from_dict(question))
assert reply.choices[0]["message"]["content"], reply

job = client.jobs.create(CreateJob(operation="chat.completions", body=question), idempotency_key="python-1")
assert client.jobs.create(CreateJob(operation="chat.completions", body=question), idempotency_key="python-1").id == job.id
for _ in range(100):
    job = client.jobs.get(job.id)
    if job.state == "succeeded":
        break
    time.sleep(0.2)
assert job.state == "succeeded" and job.counts.succeeded == 1, job
assert client.jobs.list_items(job.id).items[0].result.body["choices"]
assert b"\nevent: " in client.jobs.follow(job.id)

used = client.me.get_usage()
assert any(item.model == "gpt-4o-mini" and item.output_tokens > 0 for item in used.items), used
spent = admin.usage.get(from_=used.from_, to=used.to, group_by="key", key=key.id)
assert len(spent.items) == 1 and spent.items[0].calls == sum(item.calls for item in used.items), spent

page = admin.audit.list(limit=5)
assert isinstance(page, AuditPage) and len(page.items) == 5 and page.next_cursor, page
assert admin.audit.list(limit=5, cursor=page.next_cursor).items[0].id == page.items[-1].id - 1
assert admin.audit.list(event="intent", order="asc").items[0].additional_properties["operation"]
checkpoint = admin.audit.get_checkpoint()
assert checkpoint.seq >= page.items[0].id and checkpoint.public_key in checkpoint.text, checkpoint

assert admin.operator.download_backup().startswith(b"tollgate backup\n")
assert admin.operator.rekey(RekeyRequest(deep=True)).master_key == "current"
assert client.me.get_key().id == key.id

try:
    client.keys.create(CreateKey(description="not mine to make"))
except ForbiddenException as error:
    assert isinstance(error.data, ErrorEnvelope), error
    assert error.data.error.code == "SCOPE_DENIED" and error.data.code == 50400, error
else:
    raise AssertionError("a key without the scope made a key")
