# frozen_string_literal: true

# Runs a Ruby function: asks the Runtime API for one event after the other and gives each to the handler.
#
# Standard library only. What errors and logs look like is as on Lambda.

require 'json'
require 'logger'
require 'socket'
require 'stringio'

# All of this is out of the way of what a function defines at its top level.
module HearthRuntime
  # The variable that says that this process is started ahead, and the descriptor that it is to wait at.
  AHEAD = '_HEARTH_AHEAD'
  ASSIGNMENT = 63

  JSON_TYPE = 'application/json'

  # One kept-alive connection. A message is one write; answers always have a Content-Length.
  class RuntimeApi
    NEXT = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n".b.freeze

    def initialize(address)
      host, _, port = address.rpartition(':')
      @socket = TCPSocket.new(host, port.to_i)
      @socket.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
      @rest = String.new(encoding: Encoding::BINARY)
    end

    def send(message)
      @socket.write(message)
    end

    # The next answer: status, headers by lower-case name, body.
    def receive
      @rest << @socket.readpartial(65_536) until (head_end = @rest.index("\r\n\r\n"))
      head = @rest.slice!(0, head_end + 4)
      first, *lines = head.split("\r\n")
      headers = lines.to_h do |line|
        name, _, value = line.partition(':')
        [name.downcase, value.strip.force_encoding(Encoding::UTF_8)]
      end
      length = headers['content-length'].to_i
      missing = length - @rest.bytesize
      @rest << @socket.read(missing) if missing.positive?
      body = @rest.slice!(0, length)
      raise 'the Runtime API closed the connection' if body.bytesize < length

      [first.split(' ', 3)[1].to_i, headers, body]
    end

    # The bytes of a POST below /runtime/.
    def self.post(path, body, type = JSON_TYPE, headers = '')
      head = "POST /2018-06-01/runtime/#{path} HTTP/1.1\r\nHost: runtime\r\nContent-Type: #{type}\r\n" \
             "#{headers}Content-Length: #{body.bytesize}\r\n\r\n"
      head.b << body.b
    end
  end

  # What a handler gets as its second argument.
  class Context
    attr_reader :aws_request_id, :invoked_function_arn, :log_group_name, :log_stream_name, :function_name,
                :memory_limit_in_mb, :function_version, :identity, :client_context, :deadline_ms, :tenant_id

    def initialize(headers)
      @deadline_ms = headers['lambda-runtime-deadline-ms'].to_i
      @aws_request_id = headers['lambda-runtime-aws-request-id']
      @invoked_function_arn = headers['lambda-runtime-invoked-function-arn']
      @log_group_name = ENV['AWS_LAMBDA_LOG_GROUP_NAME']
      @log_stream_name = ENV['AWS_LAMBDA_LOG_STREAM_NAME']
      @function_name = ENV['AWS_LAMBDA_FUNCTION_NAME']
      @memory_limit_in_mb = ENV['AWS_LAMBDA_FUNCTION_MEMORY_SIZE']
      @function_version = ENV['AWS_LAMBDA_FUNCTION_VERSION']
      @identity = parsed(headers['lambda-runtime-cognito-identity'])
      @client_context = parsed(headers['lambda-runtime-client-context'])
      @tenant_id = headers['lambda-runtime-aws-tenant-id']
    end

    def get_remaining_time_in_millis # rubocop:disable Naming/AccessorMethodName
      [@deadline_ms - (Time.now.to_f * 1000).to_i, 0].max
    end

    private

    def parsed(text)
      JSON.parse(text) if text && !text.empty?
    end
  end

  # Answers of functions that failed, and what the log says about them.
  module Failure
    # Whose type is told to the Runtime API as it is; others are the user's own.
    KNOWN = [ArgumentError, IOError, IndexError, KeyError, LoadError, LocalJumpError, NameError, NoMemoryError,
             NoMethodError, NotImplementedError, RangeError, RegexpError, RuntimeError, ScriptError, SyntaxError,
             SystemCallError, SystemStackError, ThreadError, TypeError, ZeroDivisionError].map(&:name).freeze

    # The frames of the function's own code: those of this file, which called it, are left out.
    def self.frames(error)
      frames = error.backtrace || []
      own = frames.reject { |frame| frame.start_with?("#{__FILE__}:") || frame.start_with?('<internal:') }
      own.empty? ? frames : own
    end

    def self.object(phase, error)
      text = error.message.dup
      text = text.force_encoding(Encoding::UTF_8).scrub if text.encoding != Encoding::UTF_8 || !text.valid_encoding?
      { errorMessage: text, errorType: "#{phase}<#{error.class}>", stackTrace: frames(error) }
    end

    # A header with the exception for the invoke's trace, before the first one in any case: its words' beginning, and the
    # first frames. Nothing, where it cannot be told.
    def self.cause(object, error)
      return '' unless ENV.fetch('_X_AMZN_TRACE_ID', 'Sampled=1').include?('Sampled=1')

      stack = frames(error).first(256).map do |frame|
        path, line, label = frame.match(/\A(.*?):(\d+)(?::in [`'](.*)')?\z/m)&.captures
        { path: path || frame, line: line.to_i, label: label || '' }
      end
      cause = { exceptions: [{ type: error.class.to_s, message: object[:errorMessage][0, 4096], stack: stack }] }
      "Lambda-Runtime-Function-XRay-Error-Cause: #{JSON.generate(cause, ascii_only: true)}\r\n"
    rescue StandardError
      ''
    end

    # The message for the Runtime API; the log gets the same.
    def self.message(path, phase, error)
      object = object(phase, error)
      Log.failure(phase == 'Init' ? 'Init error when loading handler' : 'Error raised from handler method', object)
      type = KNOWN.include?(error.class.name) ? object[:errorType] : "#{phase}<UserException>"
      RuntimeApi.post(path, JSON.generate(object), JSON_TYPE, "Lambda-Runtime-Function-Error-Type: #{type}\r\n#{cause(object, error)}")
    end
  end

  # What functions write through Ruby's Logger carries the request's id; in the JSON format it is an object a line.
  module Log
    LEVELS = %w[TRACE DEBUG INFO WARN ERROR FATAL].freeze

    class << self
      attr_accessor :request_id, :tenant_id

      def json?
        ENV['AWS_LAMBDA_LOG_FORMAT'] == 'JSON'
      end

      def failure(text, object)
        if json?
          return unless level_index('ERROR') >= least

          $stdout.puts(JSON.generate({ timestamp: now, level: 'ERROR', requestId: request_id, message: text }
            .merge(object).compact))
        else
          $stdout.puts(text)
          $stdout.puts(JSON.pretty_generate(object))
        end
        $stdout.flush
      end

      def now
        Time.now.utc.strftime('%Y-%m-%dT%H:%M:%S.%LZ')
      end

      def least
        LEVELS.index(ENV['AWS_LAMBDA_LOG_LEVEL']&.upcase) || 0
      end

      def level_index(name)
        LEVELS.index(name) || LEVELS.index('INFO')
      end
    end

    # Of Loggers that write to the standard streams and have no formatter of their own.
    class Lines < Logger::Formatter
      def call(severity, time, progname, msg)
        format("%s, [%s #%d] %5s %s -- %s: %s\n", severity[0], time.strftime('%Y-%m-%dT%H:%M:%S.%6N'), Process.pid,
               severity, Log.request_id, progname, msg2str(msg))
      end
    end

    # The same, an object a line.
    class Objects < Logger::Formatter
      def call(severity, time, progname, msg)
        line = { timestamp: time.utc.strftime('%Y-%m-%dT%H:%M:%S.%LZ'), level: severity, requestId: Log.request_id,
                 tenantId: Log.tenant_id, logger: progname }
        line = if msg.is_a?(Exception)
                 line.merge(message: msg.message, errorType: msg.class.name, errorMessage: msg.message,
                            stackTrace: msg.backtrace)
               else
                 line.merge(message: msg.is_a?(String) || msg.is_a?(Hash) ? msg : msg2str(msg))
               end
        "#{JSON.generate(line.compact)}\n"
      end
    end

    # In front of Logger's own `initialize`.
    module Patch
      def initialize(device, *args, **options, &block)
        super
        return unless [$stdout, $stderr, STDOUT, STDERR].include?(device) && !options[:formatter]

        self.formatter = Log.json? ? Objects.new : Lines.new
        named = Log.json? && options[:level].nil? && ENV['AWS_LAMBDA_LOG_LEVEL']
        self.level = [Log.least - 1, 0].max if named
      end
    end
  end

  # `file.method` or `file.Module::Class.method`.
  class Handler
    def initialize(text)
      @file, *rest = text.split('.')
      @method = rest.pop
      @owner = rest.pop
      return if @method && rest.empty?

      raise ArgumentError, "Invalid handler #{text.split('.')}, must be of form FILENAME.METHOD or " \
                           'FILENAME.CLASS.METHOD where FILENAME corresponds with an existing Ruby source file ' \
                           'FILENAME.rb, CLASS is an optional module/class namespace and METHOD is a callable ' \
                           'method. If using CLASS, METHOD must be a class-level method.'
    end

    def load
      require @file
    end

    # The answer's bytes and their type.
    def call(event, context)
      value = if @owner
                Kernel.const_get(@owner).send(@method, event: event, context: context)
              else
                TOP.__send__(@method, event: event, context: context)
              end
      case value
      when StringIO, IO then [value.read, 'application/unknown']
      else [value.to_json, JSON_TYPE]
      end
    end
  end

  class << self
    # Where this process was started ahead of its function: waits to be told its variables, which end the process's own.
    def wait_for_function
      return unless ENV.key?(AHEAD)

      # To the last one: where the system keeps them, the function's will be written.
      ENV.clear
      socket = IO.for_fd(ASSIGNMENT, 'r+b')
      socket.syswrite('w')
      told = socket.read
      socket.close
      exit!(0) if told.empty? # It is not needed any more.
      told.force_encoding(Encoding::UTF_8).split("\0").each do |variable|
        name, _, value = variable.partition('=')
        ENV[name] = value
      end
      Gem.clear_paths if defined?(Gem)
      Dir.chdir(ENV.fetch('LAMBDA_TASK_ROOT', '/var/task')) # What was here is below the code now.
    end

    def load_handler(api)
      handler = Handler.new(ENV.fetch('_HANDLER'))
      handler.load
      handler
    rescue SystemExit
      raise
    rescue Exception => e # rubocop:disable Lint/RescueException
      api.send(Failure.message('init/error', 'Init', e))
      api.receive
      exit!(1)
    end

    # Gives one event to the handler: the message that says how it went.
    def run_one(handler, headers, body)
      id = headers['lambda-runtime-aws-request-id']
      Log.request_id = id
      Log.tenant_id = headers['lambda-runtime-aws-tenant-id']
      ENV['_X_AMZN_TRACE_ID'] = headers['lambda-runtime-trace-id']
      event = headers['content-type'] == JSON_TYPE || headers['content-type'].nil? ? JSON.parse(body.force_encoding(Encoding::UTF_8)) : body
      answer, type = handler.call(event, Context.new(headers))
      RuntimeApi.post("invocation/#{id}/response", answer, type)
    rescue SystemExit, SignalException
      raise
    rescue Exception => e # rubocop:disable Lint/RescueException
      Failure.message("invocation/#{id}/error", 'Function', e)
    end

    def main
      $stdout.sync = $stderr.sync = true
      api = RuntimeApi.new(ENV.fetch('AWS_LAMBDA_RUNTIME_API'))
      wait_for_function
      Logger.prepend(Log::Patch)
      handler = load_handler(api)
      api.send(RuntimeApi::NEXT)
      loop do
        status, headers, body = api.receive
        raise "the Runtime API answered next with #{status}: #{body}" if status != 200

        # The answer and the wish for more go out in one piece: nothing happens between them.
        api.send(run_one(handler, headers, body) << RuntimeApi::NEXT)
        api.receive
      end
    end
  end
end

HearthRuntime::TOP = self
HearthRuntime.main
