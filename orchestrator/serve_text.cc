// See serve_text.h.
#include "orchestrator/serve_text.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/layout.h"
#include "orchestrator/commands.h"

namespace regatta {
namespace {

using Json = nlohmann::ordered_json;

std::string ModelName(const ServeOptions& options, const ClusterDescription& cluster) {
  return options.served_model_name.empty() ? cluster.model_name() : options.served_model_name;
}

std::string Devices(const ClusterDescription& cluster) {
  const size_t ranks = cluster.workers_size();
  if (ranks == 0) return "no ranks";
  const WorkerDescription& first = cluster.workers(0).description();
  const std::string name = first.device_kind() == "cuda" ? first.device_name() : "CPU rank";
  return absl::StrCat(ranks, " x ", name);
}

uint64_t KvTokens(const ClusterDescription& cluster) {
  uint64_t tokens = 0;
  for (const GroupDescription& group : cluster.groups()) {
    tokens += uint64_t{group.kv_blocks()} * group.block_size();
  }
  return tokens;
}

// The body of a first question.
Json Question(const std::string& model, bool chat) {
  Json body = {{"model", model}};
  if (chat) {
    body["messages"] = Json::array({{{"role", "user"}, {"content", "Hello!"}}});
  } else {
    body["prompt"] = "Hello";
  }
  body["max_tokens"] = 64;
  return body;
}

std::string CurlLine(const ServeOptions& options, const ClusterDescription& cluster) {
  const bool chat = HasChatTemplate(options.cluster.model);
  std::string line =
      absl::StrCat("curl ", ServeUrl(options), chat ? "/v1/chat/completions" : "/v1/completions");
  // Trusts the server's own certificate, whoever signed it.
  if (!options.tls_cert.empty()) {
    absl::StrAppend(&line, " --cacert ", ShellQuoted(options.tls_cert));
  }
  absl::StrAppend(&line, " \\\n    -H 'Content-Type: application/json'");
  if (!options.api_key_file.empty()) {
    // The first key of the file: after comments and the name that it may have.
    absl::StrAppend(&line, " -H \"Authorization: Bearer $(grep -vm1 '^ *\\(#\\|$\\)' ",
                    ShellQuoted(options.api_key_file), " | cut -d: -f2)\"");
  }
  const Json body = Question(ModelName(options, cluster), chat);
  return absl::StrCat(line, " \\\n    -d ", ShellQuoted(body.dump()));
}

}  // namespace

std::string ServeUrl(const ServeOptions& options) {
  std::string host = options.host;
  if (host == "0.0.0.0" || host.empty()) host = "127.0.0.1";
  if (host == "::" || host == "[::]") host = "::1";
  if (host.find(':') != host.npos && host.front() != '[') host = absl::StrCat("[", host, "]");
  return absl::StrCat(options.tls_cert.empty() ? "http" : "https", "://", host, ":", options.port);
}

std::string ReadyText(const ServeOptions& options, const ClusterDescription& cluster,
                      const std::string& grpc_address) {
  const Limits& limits = cluster.limits();
  return absl::StrCat(
      "\nServing ", ModelName(options, cluster), " on ", ServeUrl(options), "\n",
      absl::StrFormat("  layout   %s on %s, %s, KV cache %s\n", LayoutName(cluster.layout()),
                      Devices(cluster), cluster.model().dtype(), cluster.model().kv_cache_dtype()),
      absl::StrFormat(
          "  limits   %d sequences and %d tokens a step, %d tokens a sequence, KV cache "
          "of %d tokens\n",
          limits.max_batch_size(), limits.max_num_tokens(), limits.max_seq_len(),
          KvTokens(cluster)),
      "  gRPC     grpc://", grpc_address, " (regatta sweep --url, regatta cluster --url)\n\n",
      "Try:\n  ", CurlLine(options, cluster), "\n\nCtrl-C drains and ends.\n");
}

std::string LoadText(const ClusterState& before, const ClusterState& now) {
  const double seconds = (now.time_ns() - before.time_ns()) / 1e9;
  const double tokens = static_cast<double>(now.output_tokens() - before.output_tokens());
  return absl::StrFormat(
      "%d running, %d waiting, %.1f tok/s, KV cache %.0f %% full, %d requests done", now.running(),
      now.waiting(), seconds > 0 ? tokens / seconds : 0, now.kv_usage() * 100, now.finished());
}

bool HasChatTemplate(const std::string& model_dir) {
  const std::filesystem::path dir = model_dir;
  std::error_code error;
  for (const char* name : {"chat_template.jinja", "chat_template.json"}) {
    if (std::filesystem::exists(dir / name, error)) return true;
  }
  std::ifstream file(dir / "tokenizer_config.json", std::ios::binary);
  const Json config = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  return config.is_object() && config.contains("chat_template") &&
         !config.at("chat_template").is_null();
}

}  // namespace regatta
