// URL parsing and connecting; see channel.h.
#include "orchestrator/grpc/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <chrono>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "orchestrator/http/http_client.h"

namespace regatta {

absl::StatusOr<std::string> AddressOfUrl(const std::string& url, absl::string_view flag) {
  absl::string_view address = url;
  if (!absl::ConsumePrefix(&address, "grpc://")) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, " '", url, "' does not begin with grpc://, the protocol spoken there"));
  }
  absl::ConsumeSuffix(&address, "/");
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 1 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, " '", url, "' is not grpc://HOST:PORT with a port in 1..65535"));
  }
  return std::string(address);
}

namespace {

// A router on this side of the world has connected by then.
constexpr absl::Duration kUsuallyConnected = absl::Seconds(2);

bool ConnectsWithin(grpc::Channel& channel, absl::Duration timeout) {
  return channel.WaitForConnected(std::chrono::system_clock::now() +
                                  absl::ToChronoNanoseconds(timeout));
}

// Whether a question in plain HTTP/1 gets an answer, which no gRPC server gives.
bool AnswersInHttp(const std::string& address) {
  const absl::StatusOr<HttpUrl> url = ParseHttpUrl(absl::StrCat("http://", address));
  if (!url.ok()) return false;
  HttpCall call;
  call.url = *url;
  call.method = "HEAD";
  call.redirects = Redirects::kNone;
  call.deadline = absl::Now() + kUsuallyConnected;
  return PerformHttp(call).ok();
}

absl::Status NoConnection(const std::string& address, const TlsOptions& tls,
                          absl::Duration timeout) {
  return absl::UnavailableError(absl::StrCat(
      "no connection to '", address, "' within ", absl::FormatDuration(timeout),
      ": is it running, and does it speak ",
      tls.ca.empty()
          ? "plaintext (a server with certificates needs --tls-cert, --tls-key, --tls-ca)"
          : "TLS with certificates of the authority that --tls-ca names"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const std::string& address,
                                                       const TlsOptions& tls,
                                                       absl::Duration timeout) {
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ChannelCredentials> credentials,
                   MakeChannelCredentials(tls, address));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  // A connection of its own, whatever others there are: client threads share nothing.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Proxies of the environment are for the web, not for a cluster's own ports.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  auto channel = grpc::CreateCustomChannel(address, credentials, arguments);
  const absl::Duration usual = std::min(timeout, kUsuallyConnected);
  if (ConnectsWithin(*channel, usual)) return channel;
  if (AnswersInHttp(address)) {
    return absl::UnavailableError(
        absl::StrCat("'", address, "' answers in HTTP, not in gRPC: give http://", address,
                     " for an OpenAI-compatible server, or the gRPC port of the router"));
  }
  if (ConnectsWithin(*channel, timeout - usual)) return channel;
  return NoConnection(address, tls, timeout);
}

}  // namespace regatta
