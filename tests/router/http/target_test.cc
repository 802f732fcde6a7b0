// Request targets and the routes they find.
#include "router/http/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/http/routes.h"

namespace regatta {
namespace {

TEST(TargetTest, Forms) {
  const auto check = [](const char* text, const char* path, const char* query) {
    const auto target = ParseTarget(text);
    ASSERT_TRUE(target.ok()) << text << ": " << target.status();
    EXPECT_EQ(target->path, path) << text;
    EXPECT_EQ(target->query, query) << text;
  };
  check("/", "/", "");
  check("/a/b?c=d?e", "/a/b", "c=d?e");
  check("/a%20b%2Fc%25?%41", "/a b/c%", "%41");
  check("HTTP://host:1/a", "/a", "");
  check("https://host", "/", "");
  check("https://host?q", "/", "q");
  check("//a", "//a", "");
  check("/...", "/...", "");
  check("/a.b/.c", "/a.b/.c", "");
  check("*", "*", "");
  for (const char* bad :
       {"", "a", "?q", "host:443", "ftp://host/", "/%", "/%4", "/%4x", "/%00", "/%7f", "/.", "/..",
        "/a/./b", "/a/%2e%2E", "/a#b", "http:///..", "/a\\..\\b"}) {
    EXPECT_FALSE(ParseTarget(bad).ok()) << bad;
  }
}

TEST(RoutesTest, ExactPathsWinOverOpenEnds) {
  Routes routes;
  int called = 0;
  const auto handler = [&called](int id) {
    return [&called, id](std::shared_ptr<Exchange>) { called = id; };
  };
  routes.Add("GET", "/v1/models", handler(1), Access::kKey);
  routes.Add("GET", "/v1/models/{id}", handler(2), Access::kKey);
  routes.Add("GET", "/v1/models/special", handler(3), Access::kOpen);
  routes.Add("POST", "/mixed", handler(4), Access::kKey);
  routes.Add("GET", "/mixed", handler(5), Access::kOpen);
  const auto find = [&](const char* method, const char* path) {
    const Routes::Match match = routes.Find(method, path);
    called = 0;
    if (match.handler != nullptr) (*match.handler)(nullptr);
    return called;
  };
  EXPECT_EQ(find("GET", "/v1/models"), 1);
  EXPECT_EQ(find("GET", "/v1/models/a/b"), 2);
  EXPECT_EQ(find("GET", "/v1/models/special"), 3);
  EXPECT_EQ(find("GET", "/v1/models/"), 0);
  EXPECT_EQ(find("POST", "/v1/models"), 0);
  EXPECT_EQ(find("get", "/v1/models"), 0);
  EXPECT_EQ(find("HEAD", "/mixed"), 5);
  EXPECT_EQ(routes.Find("GET", "/v1/models/special").access, Access::kOpen);
  EXPECT_EQ(routes.Find("GET", "/mixed").access, Access::kKey) << "one of its routes needs a key";
  EXPECT_EQ(routes.Find("PUT", "/mixed").allow, "POST, GET, HEAD");
  EXPECT_EQ(routes.Find("GET", "/nothing").access, Access::kKey);
  EXPECT_EQ(routes.Nearest("/v1/model"), "/v1/models");
  EXPECT_EQ(routes.Nearest("/v1/models/"), "/v1/models") << "not itself";
}

}  // namespace
}  // namespace regatta
