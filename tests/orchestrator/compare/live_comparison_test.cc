// When two sides would share a prefix cache.
#include "orchestrator/compare/live_comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using ::testing::HasSubstr;

BenchmarkOptions At(const std::string& url, bool prefix_cache = false, int64_t salt = -1) {
  BenchmarkOptions options;
  options.url = url;
  options.prefix_cache = prefix_cache;
  options.load.cache_salt = salt;
  return options;
}

std::string Refusal(const BenchmarkOptions& a, const BenchmarkOptions& b) {
  return std::string(CheckCachesApart(a, b).message());
}

TEST(CheckCachesApartTest, OneRouterWithItsPrefixCacheNeedsSalts) {
  const std::string url = "grpc://10.0.0.7:9000";
  EXPECT_THAT(Refusal(At(url, true), At(url, true)),
              HasSubstr("--a and --b are one server, grpc://10.0.0.7:9000, whose prefix cache"));
  EXPECT_THAT(Refusal(At(url, true), At(url, true)), HasSubstr("leave --prefix-cache out"));
  EXPECT_EQ(Refusal(At(url, true, 1), At(url, true, 2)), "");
  EXPECT_EQ(Refusal(At(url), At(url, true)), "") << "A neither reads nor feeds it";
  EXPECT_EQ(Refusal(At(url, true), At("grpc://10.0.0.7:9001", true)), "");
  EXPECT_EQ(Refusal(At("", true), At("", true)), "") << "two clusters of their own";
}

TEST(CheckCachesApartTest, AnAddressMayBeWrittenInSeveralWays) {
  const auto one_router = [](const std::string& a, const std::string& b) {
    return !Refusal(At(a, true), At(b, true)).empty();
  };
  EXPECT_TRUE(one_router("grpc://10.0.0.7:9000/", "grpc://10.0.0.7:9000"));
  EXPECT_TRUE(one_router("grpc://localhost:9000", "grpc://127.0.0.1:9000"));
  EXPECT_TRUE(one_router("grpc://[::1]:9000", "grpc://127.0.0.1:9000"));
  EXPECT_TRUE(one_router("http://10.0.0.8", "HTTP://10.0.0.8:80/"));
  EXPECT_TRUE(one_router("http://localhost:8000/", "http://127.0.0.1:8000"));
  EXPECT_FALSE(one_router("http://10.0.0.8:8000", "http://10.0.0.8:8001"));
  EXPECT_TRUE(one_router("http://10.0.0.8:8000/v1", "http://10.0.0.8:8000"));
}

// Over HTTP nobody can switch the cache off.
TEST(CheckCachesApartTest, AServerBehindHttpAlwaysNeedsSalts) {
  EXPECT_THAT(Refusal(At("http://10.0.0.9:1"), At("http://10.0.0.9:1/")),
              HasSubstr("--cache-salt"));
  EXPECT_EQ(Refusal(At("http://10.0.0.9:1", false, 1), At("http://10.0.0.9:1", false, 2)), "");
}

}  // namespace
}  // namespace regatta
