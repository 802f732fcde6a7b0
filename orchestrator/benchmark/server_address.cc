// URL, lookup, canonical form; see server_address.h.
#include "orchestrator/benchmark/server_address.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "orchestrator/grpc/channel.h"
#include "orchestrator/http/http_url.h"

namespace regatta {
namespace {

struct HostAndPort {
  std::string host;
  uint32_t port = 0;
};

std::optional<HostAndPort> HostAndPortOf(const std::string& target) {
  if (const auto http = ParseHttpUrl(target); http.ok()) return HostAndPort{http->host, http->port};
  const auto address = AddressOfUrl(target);
  if (!address.ok()) return std::nullopt;
  const size_t colon = address->rfind(':');
  HostAndPort found{absl::AsciiStrToLower(address->substr(0, colon))};
  if (!absl::SimpleAtoi(address->substr(colon + 1), &found.port)) return std::nullopt;
  return found;
}

// Also of "every address", which leads to this host where a client gives it.
bool IsLoopback(const addrinfo& address) {
  if (address.ai_family == AF_INET) {
    const auto& v4 = *reinterpret_cast<const sockaddr_in*>(address.ai_addr);
    return v4.sin_addr.s_addr == INADDR_ANY || ntohl(v4.sin_addr.s_addr) >> 24 == 127;
  }
  if (address.ai_family != AF_INET6) return false;
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(address.ai_addr)->sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_UNSPECIFIED(&v6);
}

std::string NumberOf(const addrinfo& address) {
  if (IsLoopback(address)) return "127.0.0.1";
  char text[NI_MAXHOST] = "";
  ::getnameinfo(address.ai_addr, address.ai_addrlen, text, sizeof(text), nullptr, 0,
                NI_NUMERICHOST);
  return text;
}

}  // namespace

std::string ServerAddress(const std::string& target, absl::Duration timeout, Resolve resolve) {
  const std::optional<HostAndPort> named = HostAndPortOf(target);
  if (!named.has_value()) return target;
  std::pair<bool, std::string> first = {true, ""};  // IPv6 or not, address
  const auto found = LookUpAddress("--url", named->host, named->port, timeout, resolve);
  for (const addrinfo* next = found.ok() ? found->get() : nullptr; next != nullptr;
       next = next->ai_next) {
    const std::string number = NumberOf(*next);
    const std::pair<bool, std::string> address = {absl::StrContains(number, ':'), number};
    if (!number.empty() && (first.second.empty() || address < first)) first = address;
  }
  const std::string& host = first.second.empty() ? named->host : first.second;
  return absl::StrCat(BracketedHost(host), ":", named->port);
}

}  // namespace regatta
