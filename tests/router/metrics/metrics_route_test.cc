// GET /metrics over HTTP: headers, HEAD, keys, and the server's own figures.
#include "router/metrics/metrics_route.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "tests/router/http/http_fixture.h"
#include "tests/testing/prometheus_text.h"

namespace regatta {
namespace {

using regatta::testing::ParsedMetrics;
using regatta::testing::ParseMetrics;

class MetricsRouteTest : public ::testing::Test {
 protected:
  void Serve() {
    options_.listen = "127.0.0.1:0";
    options_.threads = 2;
    server_ = std::make_unique<HttpServer>(options_);
    AddMetricsRoute(*server_, metrics_, "a-model", /*vllm_names=*/true);
    AddHealthRoutes(*server_, [] { return false; });
    const absl::Status status = server_->Start();
    ASSERT_TRUE(status.ok()) << status;
  }
  RawResponse Ask(const std::string& request, bool head = false) {
    return RawClient(server_->address()).Ask(request, head);
  }
  ParsedMetrics Scrape() {
    const RawResponse response = Ask(Get("/metrics"));
    EXPECT_EQ(response.status, 200);
    const auto parsed = ParseMetrics(response.body);
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    return parsed.ok() ? *parsed : ParsedMetrics();
  }

  RouterMetrics metrics_{4096};
  HttpServerOptions options_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(MetricsRouteTest, Get_AnswersInTheTextFormat_HeadWithoutIt) {
  Serve();
  const RawResponse get = Ask(Get("/metrics"));
  EXPECT_EQ(get.status, 200);
  EXPECT_EQ(get.headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_TRUE(ParseMetrics(get.body).ok());
  const RawResponse head = Ask("HEAD /metrics HTTP/1.1\r\nhost: x\r\n\r\n", true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(head.headers.at("content-type"), get.headers.at("content-type"));
}

TEST_F(MetricsRouteTest, WithKeys_NeedsOne) {
  options_.api_key_file = ::testing::TempDir() + "/metrics-keys";
  std::ofstream(options_.api_key_file) << "secret\n";
  Serve();
  EXPECT_EQ(Ask(Get("/metrics")).status, 401);
  EXPECT_EQ(Ask(Get("/metrics", "authorization: Bearer secret\r\n")).status, 200);
}

TEST_F(MetricsRouteTest, Requests_AreCountedByRouteAndStatus) {
  Serve();
  for (int i = 0; i < 3; ++i) Ask(Get("/ready"));
  Ask(Get("/nowhere"));
  Ask(Get("/%zz"));
  Ask(Post("/metrics", "x"));
  Ask("nonsense\r\n\r\n");
  Scrape();
  const ParsedMetrics parsed = Scrape();
  const auto count = [&](const std::string& method, const std::string& route,
                         const std::string& status) {
    return parsed.Sum("regatta_http_requests_total",
                      {{"method", method}, {"route", route}, {"status", status}});
  };
  EXPECT_EQ(count("GET", "/ready", "503"), 3);
  EXPECT_EQ(count("GET", "/metrics", "200"), 1) << "those whose answer has begun";
  EXPECT_EQ(count("unknown", "unknown", "404"), 1);
  EXPECT_EQ(count("unknown", "unknown", "400"), 2);
  EXPECT_EQ(count("unknown", "unknown", "405"), 1);
  EXPECT_EQ(parsed.Sum("regatta_http_requests_total"), 8);
  EXPECT_GE(parsed.Sum("regatta_http_connections"), 1);
}

TEST_F(MetricsRouteTest, OneConnection_EachRequestGoesToItsOwnRoute) {
  Serve();
  RawClient client(server_->address());
  EXPECT_EQ(client.Ask(Get("/live")).status, 200);
  EXPECT_EQ(client.Ask(Get("/nowhere")).status, 404);
  EXPECT_EQ(client.Ask(Get("/live")).status, 200);
  const ParsedMetrics parsed = Scrape();
  EXPECT_EQ(parsed.Sum("regatta_http_requests_total", {{"route", "/live"}}), 2);
  EXPECT_EQ(parsed.Sum("regatta_http_requests_total", {{"route", "unknown"}}), 1);
}

}  // namespace
}  // namespace regatta
