// See serve_text.h.
#include "orchestrator/serve/serve_text.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/credentials.h"
#include "common/layout.h"
#include "common/text/chat_template.h"
#include "orchestrator/cluster/certificates.h"
#include "orchestrator/commands/commands.h"
#include "orchestrator/http/http_url.h"

namespace regatta {
namespace {

using Json = nlohmann::ordered_json;

std::string ModelName(const ServeOptions& options, const ClusterDescription& cluster) {
  return options.served_model_name.empty() ? cluster.model_name() : options.served_model_name;
}

// IPv6 in brackets; addresses that mean all become loopback.
std::string DialledHost(const ServeOptions& options) {
  std::string host = options.host;
  if (host == "0.0.0.0" || host.empty()) host = "127.0.0.1";
  if (host == "::" || host == "[::]") host = "::1";
  return BracketedHost(host);
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

// As other shells may be elsewhere.
std::string AbsolutePath(const std::string& path) {
  std::error_code error;
  return std::filesystem::absolute(path, error).lexically_normal().string();
}

// Trusts the server's own certificate, whoever signed it; one that is not for the host in the URL
// cannot be checked.
std::string TrustFlag(const ServeOptions& options) {
  std::string host = DialledHost(options);
  if (host.front() == '[') host = host.substr(1, host.size() - 2);
  if (!CertificateCovers(options.tls_cert, host)) return "--insecure";
  return absl::StrCat("--cacert ", ShellQuoted(AbsolutePath(options.tls_cert)));
}

// Lines are KEY, NAME:KEY, comments, or empty.
std::string FirstKeyCommand(const ServeOptions& options) {
  return absl::StrCat("sed '/^ *#/d; /^ *$/d; s/^[^:]*: *//; q' ",
                      ShellQuoted(AbsolutePath(options.api_key_file)));
}

// Who else may come, when that may surprise.
std::string AccessNote(const ServeOptions& options) {
  if (IsLoopback(absl::StrCat(BracketedHost(options.host), ":", options.port))) return "";
  if (options.api_key_file.empty()) {
    return "! Everybody who reaches this host can ask: --api-key-file asks for keys\n";
  }
  if (!options.tls_cert.empty()) return "";
  return "! Keys and answers travel in plain text: --http-tls-cert and --http-tls-key encrypt\n";
}

std::string CurlLine(const ServeOptions& options, const ClusterDescription& cluster) {
  const bool chat = ChatTemplate::Load(options.cluster.model).ok();
  std::string line =
      absl::StrCat("curl ", ServeUrl(options), chat ? "/v1/chat/completions" : "/v1/completions");
  if (!options.tls_cert.empty()) absl::StrAppend(&line, " ", TrustFlag(options));
  absl::StrAppend(&line, " \\\n    -H 'Content-Type: application/json'");
  if (!options.api_key_file.empty()) {
    absl::StrAppend(&line, " \\\n    -H \"Authorization: Bearer $(", FirstKeyCommand(options),
                    ")\"");
  }
  const Json body = Question(ModelName(options, cluster), chat);
  return absl::StrCat(line, " \\\n    -d ", ShellQuoted(body.dump()));
}

}  // namespace

std::string ServeUrl(const ServeOptions& options) {
  return absl::StrCat(options.tls_cert.empty() ? "http" : "https", "://", DialledHost(options), ":",
                      options.port);
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
      "Try:\n  ", CurlLine(options, cluster), "\n\n", AccessNote(options),
      "Ctrl-C drains and ends.\n");
}

std::string LoadText(const ClusterState& before, const ClusterState& now) {
  const double seconds = (now.time_ns() - before.time_ns()) / 1e9;
  const double tokens = static_cast<double>(now.output_tokens() - before.output_tokens());
  return absl::StrFormat(
      "%d running, %d waiting, %.1f tok/s, KV cache %.0f %% full, %d requests done", now.running(),
      now.waiting(), seconds > 0 ? tokens / seconds : 0, now.kv_usage() * 100, now.finished());
}

std::string CopiesText(uint32_t running, uint32_t before, uint32_t all, bool re_forming,
                       const std::string& log_dir, const std::string& fault) {
  const bool missing = running < all && !re_forming;
  std::string text = absl::StrFormat("%s%d of %d %s of the model running", missing ? "! " : "  ",
                                     running, all, all == 1 ? "copy" : "copies");
  if (re_forming) {
    absl::StrAppend(&text, ": the pool takes another layout");
  } else if (running < std::min(before, all)) {  // another layout may have fewer
    absl::StrAppend(&text, "; workers are started again, see ", log_dir, ". The router: ", fault);
  }
  return text;
}

}  // namespace regatta
