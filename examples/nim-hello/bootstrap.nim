## A function in Nim that speaks the Runtime API by the standard library's HTTP client: it answers with the event that it
## got, and counts.
import std/[httpclient, json, os, strformat]

var count = 0

proc handle(event: JsonNode): JsonNode =
  inc count
  %*{"count": count, "echo": event}

let
  runtimeApi = &"""http://{getEnv("AWS_LAMBDA_RUNTIME_API")}/2018-06-01/runtime/invocation"""
  # The event may take any time to come.
  client = newHttpClient(timeout = -1)

while true:
  let next = client.get(&"{runtimeApi}/next")
  let id = next.headers["lambda-runtime-aws-request-id"]
  try:
    discard client.postContent(&"{runtimeApi}/{id}/response", body = $handle(parseJson(next.body)))
  except CatchableError as error:
    let told = %*{"errorMessage": error.msg, "errorType": $error.name}
    discard client.postContent(&"{runtimeApi}/{id}/error", body = $told)
