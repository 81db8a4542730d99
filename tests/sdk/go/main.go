// The generated Go client against the sandbox, as somebody who reads its method names would use it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"strings"
	"time"

	tollgate "github.com/tollgate-relay/tollgate-go"
)

// must returns what was answered, or ends the program.
func must[T any](value T, _ any, err error) T {
	if err != nil {
		log.Panic(err)
	}
	return value
}

func check(holds bool, what any) {
	if !holds {
		log.Panicf("unexpected: %+v", what)
	}
}

// text reads a file that was answered, and removes it.
func text(file *os.File) string {
	defer os.Remove(file.Name())
	defer file.Close()
	content, err := io.ReadAll(file)
	return string(must(content, nil, err))
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var sandbox struct {
		URL      string `json:"url"`
		AdminKey string `json:"admin_key"`
	}
	if err := json.Unmarshal([]byte(os.Getenv("TOLLGATE_SANDBOX")), &sandbox); err != nil {
		log.Panic(err)
	}
	admin := tollgate.New(sandbox.URL, sandbox.AdminKey)

	asked := tollgate.NewCreateKey()
	asked.SetDescription("go")
	asked.SetScopes([]string{"relay", "jobs"})
	key := must(admin.Keys.Create(ctx).CreateKey(*asked).Execute())
	check(strings.HasPrefix(key.Id, "key_"), key)
	found := must(admin.Keys.Get(ctx, key.Id).Execute())
	check(found.GetDescription() == "go", found)
	client := tollgate.New(sandbox.URL, key.SecretKey)
	check(must(client.Me.GetKey(ctx).Execute()).Id == key.Id, key)

	task := tollgate.NewVolcengineRequest("jimeng_t2i_v40")
	task.SetPrompt("a lighthouse at dusk")
	submitted := must(client.Volcengine.Submit(ctx).VolcengineRequest(*task).Execute())
	check(submitted.GetCode() == 10000, submitted)
	query := tollgate.NewVolcengineRequest("jimeng_t2i_v40")
	query.SetTaskId(submitted.Data["task_id"].(string))
	var fetched *tollgate.VolcengineReply
	for turn := 0; turn < 100; turn++ {
		fetched = must(client.Volcengine.GetResult(ctx).VolcengineRequest(*query).Execute())
		check(fetched.GetCode() == 10000, fetched)
		if fetched.Data["status"] == "done" {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	check(fetched.Data["status"] == "done" && fetched.Data["binary_data_base64"] != nil, fetched)

	messages := []map[string]interface{}{{"role": "user", "content": "Say hello."}}
	question := tollgate.NewChatRequest(messages)
	question.SetModel("gpt-4o-mini")
	reply := must(client.OpenAI.CreateChatCompletion(ctx).ChatRequest(*question).Execute())
	check(reply.Choices[0]["message"].(map[string]interface{})["content"] != "", reply)

	work := tollgate.NewCreateJob()
	work.SetOperation("chat.completions")
	work.SetBody(map[string]interface{}{"model": "gpt-4o-mini", "messages": messages})
	job := must(client.Jobs.Create(ctx).CreateJob(*work).IdempotencyKey("go-1").Execute())
	again := must(client.Jobs.Create(ctx).CreateJob(*work).IdempotencyKey("go-1").Execute())
	check(again.Id == job.Id, again)
	for turn := 0; turn < 100 && job.State != "succeeded"; turn++ {
		time.Sleep(200 * time.Millisecond)
		job = must(client.Jobs.Get(ctx, job.Id).Execute())
	}
	check(job.Counts.Succeeded == 1, job)
	items := must(client.Jobs.ListItems(ctx, job.Id).Execute())
	result := items.Items[0].GetResult()
	check(result.GetBody().(map[string]interface{})["choices"] != nil, items)
	check(strings.Contains(text(must(client.Jobs.Follow(ctx, job.Id).Execute())), "\nevent: "), job)

	used := must(client.Me.GetUsage(ctx).Execute())
	var calls int64
	var tokens int64
	for _, item := range used.Items {
		calls += item.Calls
		tokens += item.OutputTokens
	}
	check(tokens > 0, used)
	spent := must(admin.Usage.Get(ctx).From(used.From).To(used.To).GroupBy("key").Key(key.Id).Execute())
	check(len(spent.Items) == 1 && spent.Items[0].Calls == calls, spent)

	page := must(admin.Audit.List(ctx).Limit(5).Execute())
	check(len(page.Items) == 5, page)
	next := must(admin.Audit.List(ctx).Limit(5).Cursor(page.GetNextCursor()).Execute())
	check(next.Items[0].Id == page.Items[4].Id-1, next)
	intents := must(admin.Audit.List(ctx).Event("intent").Order(tollgate.ASC).Execute())
	check(intents.Items[0].AdditionalProperties["operation"] != nil, intents)
	checkpoint := must(admin.Audit.GetCheckpoint(ctx).Execute())
	check(checkpoint.Seq >= page.Items[0].Id && strings.Contains(checkpoint.Text, checkpoint.PublicKey), checkpoint)

	check(strings.HasPrefix(text(must(admin.Operator.DownloadBackup(ctx).Execute())), "tollgate backup\n"), "a backup")
	deep := tollgate.NewRekeyRequest()
	deep.SetDeep(true)
	check(must(admin.Operator.Rekey(ctx).RekeyRequest(*deep).Execute()).MasterKey == "current", deep)
	check(must(client.Me.GetKey(ctx).Execute()).Id == key.Id, key)

	_, response, err := client.Keys.Create(ctx).CreateKey(*asked).Execute()
	var refused *tollgate.GenericOpenAPIError
	check(errors.As(err, &refused) && response.StatusCode == 403, err)
	envelope, ok := refused.Model().(tollgate.ErrorEnvelope)
	check(ok && envelope.Error.Code == "SCOPE_DENIED" && envelope.Code == 50400, refused)
}
