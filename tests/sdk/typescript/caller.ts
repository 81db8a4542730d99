// The generated TypeScript client against the sandbox, as somebody who reads its method names would use it.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { ErrorEnvelopeFromJSON, Job, Order, ResponseError, Tollgate, VolcengineReply } from "tollgate-client";

async function main(): Promise<void> {
  const sandbox = JSON.parse(process.env.TOLLGATE_SANDBOX ?? "");
  const admin = new Tollgate(sandbox.url, sandbox.admin_key);

  const key = await admin.keys.create({ createKey: { description: "typescript", scopes: ["relay", "jobs"] } });
  assert.match(key.id, /^key_/);
  assert.equal((await admin.keys.get({ id: key.id })).description, "typescript");
  const client = new Tollgate(sandbox.url, key.secretKey);
  assert.equal((await client.me.getKey()).id, key.id);

  const reqKey = "jimeng_t2i_v40";
  const submitted = await client.volcengine.submit({ volcengineRequest: { reqKey, prompt: "a lighthouse at dusk" } });
  assert.equal(submitted.code, 10000);
  const taskId = submitted.data?.task_id;
  let fetched: VolcengineReply | undefined;
  for (let turn = 0; turn < 100 && fetched?.data?.status !== "done"; turn++) {
    await sleep(200);
    fetched = await client.volcengine.getResult({ volcengineRequest: { reqKey, taskId } });
    assert.equal(fetched.code, 10000);
  }
  assert.ok(fetched?.data?.binary_data_base64);

  const question = { model: "gpt-4o-mini", messages: [{ role: "user", content: "Say hello." }] };
  const reply = await client.openai.createChatCompletion({ chatRequest: question });
  assert.ok(reply.choices?.[0].message.content);

  const createJob = { operation: "chat.completions", body: question };
  let job: Job = await client.jobs.create({ createJob, idempotencyKey: "typescript-1" });
  assert.equal((await client.jobs.create({ createJob, idempotencyKey: "typescript-1" })).id, job.id);
  for (let turn = 0; turn < 100 && job.state !== "succeeded"; turn++) {
    await sleep(200);
    job = await client.jobs.get({ id: job.id });
  }
  assert.equal(job.counts.succeeded, 1);
  const { items } = await client.jobs.listItems({ id: job.id });
  assert.ok(items[0].result?.body.choices);
  const events = await client.jobs.follow({ id: job.id });
  assert.match((await events?.text()) ?? "", /^event: /m);

  const used = await client.me.getUsage();
  assert.ok(used.items.some((item) => item.model === "gpt-4o-mini" && item.outputTokens > 0));
  const spent = await admin.usage.get({ from: used.from, to: used.to, groupBy: "key", key: key.id });
  assert.deepEqual(spent.items.map((item) => item.calls), [used.items.reduce((calls, item) => calls + item.calls, 0)]);

  const page = await admin.audit.list({ limit: 5 });
  assert.equal(page.items.length, 5);
  const next = await admin.audit.list({ limit: 5, cursor: page.nextCursor ?? undefined });
  assert.equal(next.items[0].id, page.items[4].id - 1);
  assert.ok((await admin.audit.list({ event: "intent", order: Order.Asc })).items[0].operation);
  const checkpoint = await admin.audit.getCheckpoint();
  assert.ok(checkpoint.seq >= page.items[0].id && checkpoint.text.includes(checkpoint.publicKey));

  const backup = await admin.operator.downloadBackup();
  assert.match(await backup.text(), /^tollgate backup\n/);
  assert.equal((await admin.operator.rekey({ rekeyRequest: { deep: true } })).masterKey, "current");
  assert.equal((await client.me.getKey()).id, key.id);

  const refused = await client.keys.create({ createKey: {} }).catch((error: unknown) => error);
  assert.ok(refused instanceof ResponseError);
  assert.equal(refused.response.status, 403);
  const envelope = ErrorEnvelopeFromJSON(await refused.response.json());
  assert.equal(envelope.error.code, "SCOPE_DENIED");
  assert.equal(envelope.code, 50400);
}

void main();
