// See address.h.
#include "worker/address.h"

#include <cstdio>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace regatta {
namespace {

constexpr char kListening[] = "listening on ";

}  // namespace

std::string WithPort(const std::string& address, int port) {
  return absl::StrCat(address.substr(0, address.rfind(':') + 1), port);
}

std::string AddressPlus(const std::string& address, int offset) {
  int port = 0;
  const size_t colon = address.rfind(':');
  const bool numbered =
      colon != std::string::npos && absl::SimpleAtoi(address.substr(colon + 1), &port);
  return numbered && port != 0 ? WithPort(address, port + offset) : address;
}

void PrintListeningLine(const std::string& address) {
  std::printf("%s%s\n", kListening, address.c_str());
  std::fflush(stdout);
}

std::string ParseListeningLine(const std::string& line) {
  return std::string(absl::StripPrefix(line, kListening));
}

}  // namespace regatta
