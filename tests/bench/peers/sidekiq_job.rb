# Sidekiq, each job one GET on its thread's kept-alive connection, then a PUBLISH.
require "net/http"
require "sidekiq"

Sidekiq.configure_server do |config|
  config.redis = { url: "unix://#{ENV.fetch("BENCH_REDIS")}" }
  config.on(:startup) { $stdout.puts "ready"; $stdout.flush }
end
Sidekiq.logger.level = Logger::WARN

class BenchJob
  include Sidekiq::Worker
  sidekiq_options retry: false

  def perform(number)
    uri = URI("#{ENV.fetch("BENCH_URL")}?n=#{number}")
    http = Thread.current[:bench] ||= Net::HTTP.start(uri.host, uri.port, keep_alive_timeout: 60)
    body = http.get(uri.request_uri).body
    Sidekiq.redis { |redis| redis.publish("bench:#{number}", body) }
  end
end
