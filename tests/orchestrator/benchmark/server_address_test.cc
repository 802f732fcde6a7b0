// One server under many spellings, and names that nobody knows.
#include "orchestrator/benchmark/server_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstdlib>

#include "tests/testing/silent_resolver.h"

namespace regatta {
namespace {

// Two addresses of one name; released by freeaddrinfo, so made by getaddrinfo.
int ResolveTwo(const char*, const char* port, const addrinfo* hints, addrinfo** found) {
  const int error = ::getaddrinfo("10.0.0.9", port, hints, found);
  return error != 0 ? error : ::getaddrinfo("10.0.0.2", port, hints, &(*found)->ai_next);
}

int ResolveNothing(const char*, const char*, const addrinfo*, addrinfo**) { return EAI_NONAME; }

TEST(ServerAddressTest, TheSpellingDoesNotMatter) {
  for (const char* target :
       {"http://127.0.0.1:8000", "http://127.0.0.1:8000/v1", "HTTP://LocalHost:8000/v1/",
        "http://localhost:8000?x", "http://[::1]:8000", "grpc://127.0.0.1:8000",
        "grpc://localhost:8000/", "grpc://LOCALHOST:8000", "http://0.0.0.0:8000"}) {
    EXPECT_EQ(ServerAddress(target, absl::Seconds(60)), "127.0.0.1:8000") << target;
  }
  EXPECT_EQ(ServerAddress("https://127.0.0.1"), "127.0.0.1:443");
  EXPECT_EQ(ServerAddress("http://[2001:db8::1]:80/v1"), "[2001:db8::1]:80");
}

TEST(ServerAddressTest, OtherPortsAndHostsAreOtherServers) {
  EXPECT_EQ(ServerAddress("http://127.0.0.1:8001"), "127.0.0.1:8001");
  EXPECT_EQ(ServerAddress("http://10.0.0.7:8000"), "10.0.0.7:8000");
  EXPECT_EQ(ServerAddress("local"), "local");
}

TEST(ServerAddressTest, OfManyAddressesTheSmallestStands) {
  EXPECT_EQ(ServerAddress("http://pool:80", absl::Seconds(60), &ResolveTwo), "10.0.0.2:80");
}

TEST(ServerAddressTest, ANameThatNobodyKnowsStandsForItself) {
  EXPECT_EQ(ServerAddress("grpc://Router:9000", absl::Seconds(60), &ResolveNothing), "router:9000");
  EXPECT_EQ(ServerAddress("grpc://slow:9000", absl::Milliseconds(20), &ResolveOnceReleased),
            "slow:9000");
  Released().Notify();  // the thread ends whenever it likes
}

}  // namespace
}  // namespace regatta
