// `regatta null-server`: known timing behind the router's API or OpenAI's, to measure the load
// generator with.
#include <CLI/CLI.hpp>
#include <cmath>
#include <iostream>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/atomic_file.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/grpc/null_server.h"
#include "orchestrator/openai/null_http_server.h"
#include "orchestrator/terminal/interrupt.h"

namespace regatta {
namespace {

struct NullServerFlags {
  std::string listen = "127.0.0.1:9000";
  std::string address_file;
  double ttft_ms = 0;
  double interval_ms = 0;
  double stall_ms = 0;
  NullTiming timing;
  bool http = false;
  TlsOptions tls;
};

// Until Ctrl-C.
absl::Status Stay(const std::string& url, const std::string& address,
                  const NullServerFlags& flags) {
  if (!flags.address_file.empty()) {
    RETURN_IF_ERROR(WriteFileAtomically(flags.address_file, address + "\n"));
  }
  std::cerr << "null server on " << url << "; Ctrl-C ends it\n";
  const std::atomic<bool>& stop = InterruptFlag();
  while (!stop.load()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  return absl::OkStatus();
}

absl::Status Serve(const NullServerFlags& flags) {
  NullTiming timing = flags.timing;
  timing.ttft_ns = std::llround(flags.ttft_ms * 1e6);
  timing.interval_ns = std::llround(flags.interval_ms * 1e6);
  timing.stall_ns = std::llround(flags.stall_ms * 1e6);
  if (flags.http) {
    ASSIGN_OR_RETURN(const auto server, NullHttpServer::Start(flags.listen, timing));
    return Stay("http://" + server->address(), server->address(), flags);
  }
  ASSIGN_OR_RETURN(const auto server, NullServer::Start(flags.listen, timing, flags.tls));
  return Stay(server->address(), server->address(), flags);
}

void AddIrregularities(CLI::App& command, NullServerFlags& flags) {
  NullTiming& timing = flags.timing;
  command
      .add_option("--jitter", timing.jitter, "every wait is longer or shorter by up to this part")
      ->check(FiniteRange(0.0, 1.0))
      ->capture_default_str();
  command
      .add_option("--stall-every", timing.stall_every,
                  "messages of a request after which the next comes later; 0 = none")
      ->capture_default_str();
  command.add_option("--stall-ms", flags.stall_ms, "by that much")
      ->check(FiniteRange(0.0, 3.6e6))
      ->capture_default_str();
  command
      .add_option("--slow-starts", timing.slow_starts,
                  "part of the requests whose first token takes ten times as long")
      ->check(FiniteRange(0.0, 1.0))
      ->capture_default_str();
  command
      .add_option("--early-ends", timing.early_ends,
                  "part of the requests that end after half of their tokens")
      ->check(FiniteRange(0.0, 1.0))
      ->capture_default_str();
}

}  // namespace

void AddNullServerCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "null-server", "Serves pretended tokens with known timing, to measure the measuring itself.");
  auto flags = std::make_shared<NullServerFlags>();
  command.add_option("--listen", flags->listen, "host:port; port 0 = any free one")
      ->capture_default_str();
  command.add_option("--address-file", flags->address_file, "write the bound address there");
  command.add_option("--ttft-ms", flags->ttft_ms, "from request to first token")
      ->check(FiniteRange(0.0, 3.6e6))
      ->capture_default_str();
  command.add_option("--interval-ms", flags->interval_ms, "between messages of a request")
      ->check(FiniteRange(0.0, 3.6e6))
      ->capture_default_str();
  command
      .add_option("--tokens-per-message", flags->timing.tokens_per_message,
                  "tokens in each message")
      ->check(WholeRange(1, 4096))
      ->capture_default_str();
  command.add_flag("--http", flags->http, "OpenAI's API in plain HTTP in place of gRPC");
  AddIrregularities(command, *flags);
  AddTlsFlags(command, flags->tls);
  command.footer(
      "Example:\n  regatta null-server --ttft-ms 20 --interval-ms 5 &\n"
      "  regatta throughput --url grpc://127.0.0.1:9000 --dataset 128_128.jsonl --concurrency 64\n"
      "What comes out is known beforehand: TTFT of 20 ms and 5 ms between tokens; what a report "
      "says beyond that is the\nclient's own.");
  command.callback(
      [flags, &context] { context.chosen = [flags] { return ExitCodeOf(Serve(*flags)); }; });
}

}  // namespace regatta
