// What a browser is sent of the chat page.
#include "router/page/page_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/string_views.h"
#include "router/page/page_files.h"
#include "tests/router/http/raw_client.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class PageRoutesTest : public testing::Test {
 protected:
  PageRoutesTest() {
    dir_.Write("keys", "secret\n");
    HttpServerOptions options;
    options.listen = "127.0.0.1:0";
    options.threads = 1;
    options.api_key_file = dir_.File("keys");
    server_ = std::make_unique<HttpServer>(options);
    AddPageRoutes(*server_);
    server_->Route("GET", "/v1/models",
                   [](std::shared_ptr<Exchange> exchange) { exchange->Reply(200, {}, "models"); });
    const absl::Status status = server_->Start();
    EXPECT_TRUE(status.ok()) << status;
  }
  ~PageRoutesTest() override { server_->Stop(); }

  RawResponse Get(const std::string& path, const std::string& headers = "", bool head = false) {
    return RawClient(server_->address())
        .Ask(absl::StrCat("GET ", path, " HTTP/1.1\r\nhost: x\r\n", headers, "\r\n"), head);
  }
  static std::string PathOf(const EmbeddedFile& file) {
    return file.name == "index.html" ? "/" : absl::StrCat("/page/", View(file.name));
  }

  TempDir dir_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(PageRoutesTest, FilesAreThoseOfTheSourceAndNeedNoKey) {
  EXPECT_EQ(Get("/v1/models").status, 401);
  for (const EmbeddedFile& file : PageFiles()) {
    std::ifstream source(absl::StrCat(REGATTA_SOURCE_DIR, "/router/page/", View(file.name)));
    std::stringstream text;
    text << source.rdbuf();
    const RawResponse response = Get(PathOf(file));
    EXPECT_EQ(response.status, 200) << file.name;
    EXPECT_EQ(response.body, text.str()) << file.name;
    EXPECT_FALSE(response.body.empty()) << file.name;
  }
}

TEST_F(PageRoutesTest, NothingButTheServersOwnFilesMayRun) {
  const RawResponse page = Get("/");
  EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_THAT(page.headers.at("content-security-policy"),
              AllOf(HasSubstr("default-src 'none'"), HasSubstr("script-src 'self';"),
                    HasSubstr("require-trusted-types-for 'script'"), Not(HasSubstr("unsafe"))));
  EXPECT_EQ(page.headers.at("x-content-type-options"), "nosniff");
  EXPECT_EQ(Get("/page/main.js").headers.at("content-type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(Get("/page/style.css").headers.at("content-type"), "text/css; charset=utf-8");
  EXPECT_EQ(Get("/page/icon.svg").headers.at("content-type"), "image/svg+xml");
  for (const EmbeddedFile& file : PageFiles()) {
    std::string text(file.text);
    // A name of XML, not an address.
    text = std::regex_replace(text, std::regex("http://www\\.w3\\.org/2000/svg"), "");
    EXPECT_THAT(text, Not(HasSubstr("://"))) << file.name;
    EXPECT_THAT(text, Not(HasSubstr("innerHTML"))) << file.name;
  }
}

TEST_F(PageRoutesTest, AllThatIsNamedIsServed) {
  std::set<std::string> named;
  const std::regex reference("(?:src=\"|href=\"|from '\\./)(?:page/)?([a-z_]+\\.[a-z]+)[\"']");
  for (const EmbeddedFile& file : PageFiles()) {
    const std::string text(file.text);
    for (std::sregex_iterator it(text.begin(), text.end(), reference), end; it != end; ++it) {
      named.insert((*it)[1]);
    }
  }
  for (const std::string& name : named) EXPECT_EQ(Get("/page/" + name).status, 200) << name;
  EXPECT_EQ(named.size() + 1, PageFiles().size()) << "a file that nothing loads";
}

TEST_F(PageRoutesTest, BrowsersKeepWhatHasNotChanged) {
  std::set<std::string> tags;
  for (const EmbeddedFile& file : PageFiles()) {
    const RawResponse first = Get(PathOf(file));
    EXPECT_EQ(first.headers.at("cache-control"), "no-cache");
    const std::string tag = first.headers.at("etag");
    EXPECT_TRUE(tags.insert(tag).second) << tag;
    const RawResponse again =
        Get(PathOf(file), absl::StrCat("if-none-match: W/", tag, "\r\n"), true);
    EXPECT_EQ(again.status, 304) << file.name;
    EXPECT_EQ(again.error, "");
    EXPECT_EQ(Get(PathOf(file), "if-none-match: \"other\"\r\n").status, 200);
  }
}

}  // namespace
}  // namespace regatta
