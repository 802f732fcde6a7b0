// `regatta serve MODEL`: trtllm-serve's command of that name, and vLLM's.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "common/config_numbers.h"
#include "common/edge/http_ranges.h"
#include "common/flags.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/commands/trtllm_flags.h"
#include "orchestrator/hub/model_argument.h"
#include "orchestrator/serve/serve.h"

namespace regatta {
namespace {

constexpr double kLaunchTimeoutS = 600;  // weights of 70B parameters come from a slow disk

void AddServeHttpFlags(CLI::App& command, ServeOptions& options) {
  const auto add = [&](const char* names, auto& value, const char* text) {
    return command.add_option(names, value, text)->group("HTTP");
  };
  add("--host", options.host, "address to serve on; 0.0.0.0 = all of this host")
      ->capture_default_str();
  add("--port", options.port, "of the OpenAI-compatible API; 0 = any free one")
      ->capture_default_str()
      ->check(WholeRange(0, 65535));
  CLI::Option* const cert =
      add("--http-tls-cert,--ssl-certfile", options.tls_cert, "PEM certificate: serves https");
  CLI::Option* const key =
      add("--http-tls-key,--ssl-keyfile", options.tls_key, "PEM key of that certificate");
  cert->needs(key)->check(CLI::ExistingFile);
  key->needs(cert)->check(CLI::ExistingFile);
  add("--api-key-file", options.api_key_file,
      "file of keys, one a line; clients send one as a bearer token")
      ->check(CLI::ExistingFile);
  add("--served-model-name", options.served_model_name,
      "name that clients use (default: the model's)");
  add("--tool-call-syntax,--tool-call-parser,--tool-parser", options.tool_call_syntax,
      "how the model writes calls of tools (default: by its tokenizer)")
      ->check(CLI::IsMember({"auto", "llama3_json", "hermes", "none"}));
  add("--http-cors-origin,--allowed-origins", options.cors_origin,
      "origins whose web pages may call the API, comma separated; * = all");
  add("--http-max-body", options.max_body, "bytes of one request (default: 16 MiB)")
      ->check(InRange(kHttpBodyBytesRange));
  add("--http-max-connections", options.max_connections, "of all clients together (default: 8192)")
      ->check(InRange(kHttpConnectionsRange));
  add("--http-max-connections-per-peer", options.max_connections_per_peer,
      "of one client address; 0 = as many as there are (default)")
      ->check(InRange(kHttpConnectionsPerPeerRange));
  command
      .add_flag("--metrics-vllm-names", options.metrics_vllm_names,
                "show the series of /metrics under vLLM's names too (vllm:...)")
      ->group("HTTP");
  // vLLM's, not shown.
  command.add_option_function<std::string>("--api-key", [](const std::string&) {})
      ->check([](const std::string&) -> std::string {
        return "--api-key: everybody on this machine can read command lines; put the key into a "
               "file and give "
               "--api-key-file";
      })
      ->group("");
}

}  // namespace

void AddServeCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "serve", "Serves a model on this host behind an OpenAI-compatible URL, until Ctrl-C.");
  auto options = std::make_shared<ServeOptions>();
  options->cluster.launch_timeout_s = kLaunchTimeoutS;
  command.add_option("model,-m,--model", options->cluster.model, kModelHelp)->required();
  AddServeHttpFlags(command, *options);
  AddClusterFlags(command, options->cluster);
  command
      .add_option("--log-dir", options->log_dir,
                  "directory that gets the run's own directory of logs (default: temporary)")
      ->group("Server");
  command
      .add_option("--drain-timeout", options->drain_timeout_s,
                  "seconds that running requests have after Ctrl-C")
      ->capture_default_str()
      ->check(FiniteRange(0.0, 86400.0))
      ->group("Server");
  const ConfigNumber& queue = ConfigNumberOf("max_queue_size");
  command
      .add_option("--max-queue-size", options->max_queue_size,
                  queue.Help("waiting requests, beyond which clients get 429"))
      ->check(InRange(queue.range))
      ->group("Server");
  command.add_flag("--verbose", options->verbose, "say every ten seconds how busy it is")
      ->group("Server");
  command
      .add_flag_callback(
          "--trust-remote-code", [] {}, "accepted and ignored: no model's code is ever run")
      ->group("Server");
  const std::shared_ptr<TrtllmFlags> trtllm = AddTrtllmFlags(command);
  command.footer(
      "Examples:\n"
      "  regatta serve meta-llama/Llama-3.1-8B-Instruct --tp 2\n"
      "  regatta serve MODEL --tp_size 1 --max_num_tokens 7680 --max_batch_size 3840 \\\n"
      "    --extra_llm_api_options llm_api_options.yml\n"
      "  regatta serve MODEL --host 0.0.0.0 --http-tls-cert server.crt --http-tls-key server.key "
      "--api-key-file keys\n"
      "Exit codes: 0 ended by Ctrl-C or SIGTERM, running requests drained, 1 could not serve, "
      "2 bad input.");
  command.callback([options, trtllm, &context] {
    CheckTokenizerFlag(*trtllm, options->cluster.model);
    context.chosen = [options, trtllm] {
      for (const std::string& flag : trtllm->without_effect) {
        std::cerr << "! " << flag << " is trtllm-serve's and has no effect here\n";
      }
      return Serve(*options);
    };
  });
}

}  // namespace regatta
