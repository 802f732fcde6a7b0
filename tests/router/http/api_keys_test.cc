// API keys: the file, the comparison, and what they guard.
#include "common/edge/api_keys.h"

#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "tests/router/http/http_fixture.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

using testing::HasSubstr;
using testing::Not;

class ApiKeysTest : public HttpFixture {
 protected:
  absl::StatusOr<ApiKeys> Load(const std::string& text) {
    dir_.Write("keys", text);
    chmod(dir_.File("keys").c_str(), 0600);
    return ApiKeys::Load(dir_.File("keys"),
                         [this](const std::string& line) { warnings_.push_back(line); });
  }
  void ServeWithKeys(const std::string& text) {
    dir_.Write("keys", text);
    options_.api_key_file = dir_.File("keys");
    options_.reload_interval = absl::Milliseconds(20);
    Serve();
  }
  RawResponse Ask(const std::string& request) {
    RawClient client(address());
    return client.Ask(request);
  }
  static std::string With(const std::string& key) {
    return absl::StrCat("authorization: Bearer ", key, "\r\n");
  }

  TempDir dir_;
  std::vector<std::string> warnings_;
};

TEST_F(ApiKeysTest, NamedAndNamelessKeys) {
  const auto keys = Load("# people\n\nsk-plain\r\n  alice : sk-alice  \nbob:sk-bob==\n");
  ASSERT_TRUE(keys.ok()) << keys.status();
  ASSERT_NE(keys->Find("Bearer sk-plain"), nullptr);
  EXPECT_EQ(*keys->Find("Bearer sk-plain"), "");
  EXPECT_EQ(*keys->Find("bearer   sk-alice"), "alice");
  EXPECT_EQ(*keys->Find("BEARER sk-bob=="), "bob");
  for (const char* bad :
       {"", "Bearer", "Bearer ", "sk-plain", "Basic sk-plain", "Bearer sk-plai", "Bearer sk-plainx",
        "Bearer SK-PLAIN", "Bearer alice : sk-alice", "Bearer # people", "Bearersk-plain"}) {
    EXPECT_EQ(keys->Find(bad), nullptr) << bad;
  }
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(ApiKeysTest, BadFilesNameTheLineAndNotTheKey) {
  EXPECT_THAT(std::string(Load("# none\n\n").status().message()), HasSubstr("has no key"));
  const std::string message(Load("good\nbad secret\n").status().message());
  EXPECT_THAT(message, HasSubstr("line 2"));
  EXPECT_THAT(message, Not(HasSubstr("secret")));
  EXPECT_FALSE(Load("name:\n").ok());
  EXPECT_FALSE(Load("name: a:b\n").ok());
  EXPECT_TRUE(absl::IsNotFound(ApiKeys::Load(dir_.File("absent"), nullptr).status()));
}

TEST_F(ApiKeysTest, AFileThatEverybodyCanReadIsWarnedAbout) {
  dir_.Write("keys", "key\n");
  chmod(dir_.File("keys").c_str(), 0644);
  ASSERT_TRUE(ApiKeys::Load(dir_.File("keys"), [this](const std::string& line) {
                warnings_.push_back(line);
              }).ok());
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_THAT(warnings_[0], HasSubstr("chmod o-r"));
}

TEST_F(ApiKeysTest, EveryRouteButHealthNeedsAKey) {
  ServeWithKeys("team: secret\n");
  for (const char* path : {"/live", "/ready", "/health", "/version"}) {
    EXPECT_EQ(Ask(Get(path)).status, 200) << path;
  }
  for (const char* path :
       {"/hello", "/v1/models/x", "/unknown", "/metrics", "//hello", "/%68ello", "/HELLO",
        "http://x/hello", "/health/", "/live/../hello", "/health%2f"}) {
    const RawResponse response = Ask(Get(path));
    EXPECT_THAT(response.status, testing::AnyOf(401, 400)) << path;
  }
  EXPECT_EQ(Ask("GET /hello HTTP/1.0\r\n\r\n").status, 401);
  EXPECT_EQ(Ask("OPTIONS /hello HTTP/1.1\r\nhost: a\r\n\r\n").status, 401);
  EXPECT_EQ(Ask("DELETE /hello HTTP/1.1\r\nhost: a\r\n\r\n").status, 401);
  const RawResponse refused = Ask(Get("/hello", With("wrong")));
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.headers.at("www-authenticate"), "Bearer");
  EXPECT_EQ(refused.body,
            R"({"error":{"message":"the API key is not known","type":"authentication_error",)"
            R"("param":null,"code":"invalid_api_key"}})");
  EXPECT_EQ(Ask(Get("/hello", With("secret"))).status, 200);
  EXPECT_EQ(Ask(Get("/unknown", With("secret"))).status, 404);
}

TEST_F(ApiKeysTest, HandlersHearWhoCalls) {
  ServeWithKeys("team: secret\n");
  RawClient client(address());
  client.Send(Get("/hold", With("secret")));
  const auto held = NextHeld();
  ASSERT_NE(held, nullptr);
  EXPECT_EQ(held->request().caller, "team");
}

TEST_F(ApiKeysTest, AKeylessUploadIsRefusedUnread) {
  ServeWithKeys("secret\n");
  RawClient client(address());
  client.Send("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n");
  EXPECT_EQ(client.ReadResponse().status, 401);
}

TEST_F(ApiKeysTest, PreflightsNeedNone) {
  options_.cors_origin = "*";
  ServeWithKeys("secret\n");
  const RawResponse preflight =
      Ask("OPTIONS /echo HTTP/1.1\r\nhost: a\r\norigin: http://page\r\n"
          "access-control-request-method: POST\r\n\r\n");
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.headers.at("access-control-allow-origin"), "*");
  EXPECT_EQ(Ask(Get("/hello", "origin: http://page\r\n")).headers.at("access-control-allow-origin"),
            "*")
      << "pages can read why they were refused";
}

TEST_F(ApiKeysTest, TheFileIsReadAgainWhenItChanges) {
  ServeWithKeys("old\n");
  RawClient client(address());
  EXPECT_EQ(client.Ask(Get("/hello", With("old"))).status, 200);
  dir_.Write("keys", "not a key\n");
  EXPECT_TRUE(Logged("the old API keys stay"));
  EXPECT_EQ(client.Ask(Get("/hello", With("old"))).status, 200);
  dir_.Write("keys", "new-key\n");
  EXPECT_TRUE(Logged("read API keys again"));
  EXPECT_EQ(client.Ask(Get("/hello", With("old"))).status, 401);
  EXPECT_EQ(client.Ask(Get("/hello", With("new-key"))).status, 200);
}

}  // namespace
}  // namespace regatta
