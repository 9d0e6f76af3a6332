# A function in Crystal that speaks the Runtime API by the standard library's HTTP client: it answers with the event that it
# got, and counts.
require "http/client"
require "json"

class Function
  @count = 0

  def handle(event : JSON::Any)
    {count: @count += 1, echo: event}
  end
end

host, _, port = ENV["AWS_LAMBDA_RUNTIME_API"].partition(':')
runtime = HTTP::Client.new(host, port.to_i)
path = "/2018-06-01/runtime/invocation"
function = Function.new

loop do
  event = runtime.get("#{path}/next")
  id = event.headers["Lambda-Runtime-Aws-Request-Id"]
  begin
    runtime.post("#{path}/#{id}/response", body: function.handle(JSON.parse(event.body)).to_json)
  rescue error
    told = {errorMessage: error.message, errorType: error.class.name}
    runtime.post("#{path}/#{id}/error", body: told.to_json)
  end
end
