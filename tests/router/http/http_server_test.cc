// What a client sees of the HTTP server, byte by byte where it matters.
#include <fcntl.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "tests/router/http/http_fixture.h"

namespace regatta {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;
using testing::StartsWith;

class HttpServerTest : public HttpFixture {
 protected:
  // One request on a connection of its own.
  RawResponse Once(const std::string& bytes, bool head = false) {
    RawClient client(address());
    RawResponse response = client.Ask(bytes, head);
    EXPECT_EQ(response.error, "") << bytes.substr(0, 200);
    return response;
  }
  // Of an error in the OpenAI API's shape.
  static nlohmann::json ErrorOf(const RawResponse& response) {
    const auto json = nlohmann::json::parse(response.body, nullptr, false);
    EXPECT_TRUE(json.is_object()) << response.body;
    const nlohmann::json error = json.value("error", nlohmann::json::object());
    for (const char* key : {"message", "type", "param", "code"}) {
      EXPECT_TRUE(error.contains(key)) << response.body;
    }
    return error;
  }
};

TEST_F(HttpServerTest, AnswersAndKeepsTheConnection) {
  Serve();
  RawClient client(address());
  for (int i = 0; i < 3; ++i) {
    const RawResponse response = client.Ask(Get("/hello?x=%41"));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "hello");
    EXPECT_EQ(response.headers.at("server"), "regatta");
    EXPECT_EQ(response.headers.at("content-type"), "text/plain");
    EXPECT_EQ(response.headers.at("date").size(), 29u) << response.headers.at("date");
    EXPECT_THAT(response.headers, Not(Contains(Key("connection"))));
  }
  EXPECT_EQ(client.Ask(Post("/echo", "some body")).body, "some body");
  EXPECT_EQ(client.Ask(Get("/hello", "connection: close\r\n")).headers.at("connection"), "close");
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(HttpServerTest, RequestsComeInAnyPieces) {
  Serve();
  const std::string request = Post("/echo", "0123456789", "x-one: 1\r\n");
  for (size_t split = 1; split < request.size(); ++split) {
    RawClient client(address());
    ASSERT_TRUE(client.Send(request.substr(0, split)));
    std::this_thread::sleep_for(std::chrono::microseconds(300));
    ASSERT_EQ(client.Ask(request.substr(split)).body, "0123456789") << "split at " << split;
  }
}

TEST_F(HttpServerTest, PipelinedRequestsAreAnsweredInTurn) {
  Serve();
  RawClient client(address());
  std::string requests;
  for (int i = 0; i < 100; ++i) {
    requests += Post("/echo", std::to_string(i));
    if (i % 10 == 0) requests += "\r\n";
  }
  ASSERT_TRUE(client.Send(requests));
  for (int i = 0; i < 100; ++i) ASSERT_EQ(client.ReadResponse().body, std::to_string(i));
}

TEST_F(HttpServerTest, OneExchangeAtATime) {
  Serve();
  RawClient client(address());
  ASSERT_TRUE(client.Send(Get("/hold") + Get("/hold") + Get("/hello")));
  const auto first = NextHeld();
  ASSERT_NE(first, nullptr);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  {
    absl::MutexLock lock(&mutex_);
    EXPECT_TRUE(held_.empty()) << "the second request was begun before the first was answered";
  }
  first->Reply(200, {}, "first");
  const auto second = NextHeld();
  ASSERT_NE(second, nullptr);
  second->Reply(201, {}, "second");
  EXPECT_EQ(client.ReadResponse().body, "first");
  EXPECT_EQ(client.ReadResponse().status, 201);
  EXPECT_EQ(client.ReadResponse().body, "hello");
}

TEST_F(HttpServerTest, ManyRequestsSentAtOnceAreAnsweredInTurn) {
  Serve();
  RawClient client(address());
  std::string requests;
  while (requests.size() < (1 << 20)) requests += Get("/hello");
  std::thread sender([&] { EXPECT_TRUE(client.Send(requests)); });
  const size_t count = requests.size() / Get("/hello").size();
  for (size_t i = 0; i < count; ++i) ASSERT_EQ(client.ReadResponse().body, "hello") << i;
  sender.join();
}

TEST_F(HttpServerTest, HeadHasTheHeadersAlone) {
  Serve();
  RawClient client(address());
  const RawResponse response = client.Ask("HEAD /hello HTTP/1.1\r\nhost: a\r\n\r\n", true);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.at("content-length"), "5");
  EXPECT_EQ(client.Ask("HEAD /nothing HTTP/1.1\r\nhost: a\r\n\r\n", true).status, 404);
  EXPECT_EQ(client.Ask(Get("/hello")).body, "hello");
}

TEST_F(HttpServerTest, Http10) {
  Serve();
  RawClient client(address());
  EXPECT_EQ(
      client.Ask("GET /hello HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").headers.at("connection"),
      "keep-alive");
  EXPECT_EQ(client.Ask("GET /hello HTTP/1.0\r\n\r\n").headers.at("connection"), "close");
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(HttpServerTest, ChunkedBodies) {
  Serve();
  const std::string head = "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
  EXPECT_EQ(Once(head + "5;ext=\"a\"\r\nhello\r\n06\r\n world\r\n0\r\nx-trailer: 1\r\n\r\n").body,
            "hello world");
  std::string tiny;
  for (int i = 0; i < 20000; ++i) tiny += "1\r\nx\r\n";
  EXPECT_EQ(Once(head + tiny + "0\r\n\r\n").body, std::string(20000, 'x'));
  for (const char* size : {"-1", "0x1", "10000000000000000", "", "g", "1 1", "+1"}) {
    EXPECT_EQ(Once(head + size + "\r\nx\r\n0\r\n\r\n").status, 400) << size;
  }
  EXPECT_EQ(Once(head + "1\r\nxx\r\n0\r\n\r\n").status, 400);
  EXPECT_EQ(Once(head + "0\r\nbad trailer\r\n\r\n").status, 400);
}

TEST_F(HttpServerTest, TrailersAreNotHeaders) {
  Serve();
  RawClient client(address());
  client.Send(
      "POST /hold HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
      "0\r\nauthorization: Bearer x\r\n\r\n");
  const auto held = NextHeld();
  ASSERT_NE(held, nullptr);
  EXPECT_EQ(held->request().Header("authorization"), "");
}

TEST_F(HttpServerTest, AmbiguousRequestsAreRefusedAndTheConnectionEnds) {
  Serve();
  const std::string start = "POST /echo HTTP/1.1\r\nhost: a\r\n";
  const std::vector<std::pair<int, std::string>> cases = {
      {400, start + "content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"},
      {400, start + "transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n"},
      {400, start + "content-length: 1\r\ncontent-length: 2\r\n\r\n"},
      {400, start + "content-length: 1\r\ncontent-length: 1\r\n\r\nx"},
      {400, start + "content-length: 1, 1\r\n\r\nx"},
      {400, start + "content-length: -1\r\n\r\n"},
      {400, start + "content-length: 99999999999999999999999\r\n\r\n"},
      {400, start + "content-length: 0x1\r\n\r\n"},
      {501, start + "transfer-encoding: gzip\r\n\r\n"},
      {501, start + "transfer-encoding: gzip, chunked\r\n\r\n"},
      {501, start + "transfer-encoding: identity\r\ncontent-length: 1\r\n\r\nx"},
      {400, "POST /echo HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"},
      {400, start + "x: a\nb\r\n\r\n"},
      {400, start + "x: a\rb\r\n\r\n"},
      {400, start + "x: a" + std::string(1, '\0') + "b\r\n\r\n"},
      {400, start + "x : a\r\n\r\n"},
      {400, start + ": a\r\n\r\n"},
      {400, start + "no colon\r\n\r\n"},
      {400, "GET /hello HTTP/1.1\nhost: a\n\n"},
      {400, "GET /hello HTTP/1.1\r\n\r\n"},
      {400, "GET /hello HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"},
      {400, Get("/hello", "authorization: Bearer a\r\nauthorization: Bearer b\r\n")},
      {400, "GET /hello HTTP/2.0\r\nhost: a\r\n\r\n"},
      {400, "GET /hello\r\n\r\n"},
      {400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
      {400, "\x16\x03\x01\x02\x01\x01garbage\r\n\r\n"},
      {400, "GET  /hello HTTP/1.1\r\nhost: a\r\n\r\n"},
  };
  for (const auto& [status, request] : cases) {
    RawClient client(address());
    const RawResponse response = client.Ask(request);
    EXPECT_EQ(response.status, status) << request << " -> " << response.error;
    ErrorOf(response);
    EXPECT_TRUE(client.IsClosed()) << request;
  }
  EXPECT_EQ(Once(Get("/hello")).status, 200);
}

TEST_F(HttpServerTest, PathsAreDecodedOnceAndMatchedExactly) {
  Serve();
  EXPECT_EQ(Once(Get("/%68ello")).body, "hello");
  EXPECT_EQ(Once(Get("http://other/hello")).body, "hello");
  EXPECT_EQ(Once(Get("/v1/models/org%2Fname")).body, "/v1/models/org/name");
  EXPECT_EQ(Once(Get("/v1/models/org/name%20x")).body, "/v1/models/org/name x");
  EXPECT_EQ(Once(Get("/v1/models/a%252e")).body, "/v1/models/a%2e");
  for (const char* path : {"//hello", "/hello/", "/HELLO", "/%2568ello", "/hello%20", "/v1/models/",
                           "/hello;a", "/hello\\", "http://hello"}) {
    EXPECT_EQ(Once(Get(path)).status, 404) << path;
  }
  for (const char* path : {"/./hello", "/x/../hello", "/x/%2e%2e/hello", "/%2E/hello", "/hello/..",
                           "/v1/models/..", "/hello%00", "/hello%0d%0a", "/hello%2", "/hello%zz",
                           "/hello#a", "hello", "/x\\..\\hello"}) {
    EXPECT_EQ(Once(Get(path)).status, 400) << path;
  }
}

TEST_F(HttpServerTest, UnknownPathsAndMethodsAreExplained) {
  Serve();
  const RawResponse missing = Once(Get("/helo"));
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(ErrorOf(missing)["message"], "there is no /helo; nearest is /hello");
  EXPECT_EQ(ErrorOf(missing)["type"], "invalid_request_error");
  const RawResponse wrong = Once("DELETE /hello HTTP/1.1\r\nhost: a\r\n\r\n");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.at("allow"), "GET, HEAD");
  EXPECT_THAT(ErrorOf(wrong)["message"], HasSubstr("not DELETE"));
  EXPECT_EQ(Once("BREW /hold HTTP/1.1\r\nhost: a\r\n\r\n").headers.at("allow"), "GET, HEAD, POST");
  EXPECT_EQ(Once("CONNECT test:443 HTTP/1.1\r\nhost: a\r\n\r\n").status, 400);
  const RawResponse options = Once("OPTIONS /hello HTTP/1.1\r\nhost: a\r\n\r\n");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.headers.at("allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(Once("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n").status, 204);
  EXPECT_EQ(Once("GET * HTTP/1.1\r\nhost: a\r\n\r\n").status, 404);
}

TEST_F(HttpServerTest, AnErrorBeforeTheBodyIsReadStillArrives) {
  Serve();
  RawClient client(address());
  EXPECT_EQ(client.Ask(Post("/nothing", std::string(4 << 20, 'x'))).status, 404);
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(HttpServerTest, ExpectContinue) {
  Serve();
  RawClient client(address());
  const std::string head =
      "POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
  EXPECT_EQ(client.Ask(head).status, 100);
  EXPECT_EQ(client.Ask("body").body, "body");
  EXPECT_EQ(client.Ask(head + "body").body, "body") << "nobody waits for 100 who sends at once";
  EXPECT_EQ(Once("POST /none HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n"
                 "content-length: 4\r\n\r\n")
                .status,
            404);
  EXPECT_EQ(Once(Post("/echo", "x", "expect: magic\r\n")).status, 417);
}

TEST_F(HttpServerTest, CodedBodiesAreRefusedByTheirCoding) {
  Serve();
  EXPECT_EQ(Once(Post("/echo", "x", "content-encoding: Identity\r\n")).status, 200);
  const auto answer = Once(Post("/echo", "x", "content-encoding: gzip\r\n"));
  EXPECT_EQ(answer.status, 415);
  EXPECT_THAT(answer.body, HasSubstr("content-encoding: 'gzip' is not read"));
}

TEST_F(HttpServerTest, RequestIdsAreKeptOrMade) {
  Serve();
  EXPECT_EQ(Once(Get("/hello", "x-request-id: a.b-c_1\r\n")).headers.at("x-request-id"), "a.b-c_1");
  const std::string longest(128, 'x');
  EXPECT_EQ(Once(Get("/hello", "x-request-id: " + longest + "\r\n")).headers.at("x-request-id"),
            longest);
  for (const std::string& bad : {longest + "x", std::string("a b"), std::string("a<b"),
                                 std::string("\xc3\xa4"), std::string()}) {
    EXPECT_THAT(Once(Get("/hello", "x-request-id: " + bad + "\r\n")).headers.at("x-request-id"),
                StartsWith("req-"))
        << bad;
  }
  EXPECT_NE(Once(Get("/hello")).headers.at("x-request-id"),
            Once(Get("/hello")).headers.at("x-request-id"));
  EXPECT_THAT(Once("bad\r\n\r\n").headers.at("x-request-id"), StartsWith("req-"));
}

TEST_F(HttpServerTest, CorsIsOffByDefault) {
  Serve();
  const RawResponse response = Once(Get("/hello", "origin: http://page\r\n"));
  EXPECT_THAT(response.headers, Not(Contains(Key("access-control-allow-origin"))));
}

TEST_F(HttpServerTest, CorsForSomeOrigins) {
  options_.cors_origin = "http://page, https://other";
  Serve();
  EXPECT_EQ(
      Once(Get("/hello", "origin: https://other\r\n")).headers.at("access-control-allow-origin"),
      "https://other");
  EXPECT_EQ(
      Once(Get("/nothing", "origin: http://page\r\n")).headers.at("access-control-allow-origin"),
      "http://page");
  EXPECT_THAT(Once(Get("/hello", "origin: http://page.evil\r\n")).headers,
              Not(Contains(Key("access-control-allow-origin"))));
  const RawResponse preflight = Once(
      "OPTIONS /echo HTTP/1.1\r\nhost: a\r\norigin: http://page\r\n"
      "access-control-request-method: POST\r\n"
      "access-control-request-headers: authorization, x-a\r\n\r\n");
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.headers.at("access-control-allow-methods"), "POST, OPTIONS");
  EXPECT_EQ(preflight.headers.at("access-control-allow-headers"), "authorization, x-a");
  EXPECT_EQ(preflight.headers.at("vary"), "origin");
}

TEST_F(HttpServerTest, HealthRoutes) {
  Serve();
  EXPECT_EQ(Once(Get("/live")).status, 200);
  EXPECT_EQ(Once(Get("/ready")).status, 200);
  EXPECT_EQ(Once(Get("/health")).status, 200);
  EXPECT_THAT(Once(Get("/version")).body, HasSubstr("\"version\""));
  ready_ = false;
  EXPECT_EQ(Once(Get("/live")).status, 200);
  for (const char* path : {"/ready", "/health"}) {
    const RawResponse response = Once(Get(path));
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.headers.at("retry-after"), "1");
    EXPECT_EQ(ErrorOf(response)["code"], "not_ready");
  }
}

TEST_F(HttpServerTest, HeadersOfHandlersCannotSplitTheAnswer) {
  Serve();
  RawClient client(address());
  client.Send(Get("/hold"));
  const auto held = NextHeld();
  ASSERT_NE(held, nullptr);
  held->Reply(200, {{"x-model", "a\r\nx-evil: 1"}}, "");
  const RawResponse response = client.ReadResponse();
  EXPECT_EQ(response.headers.at("x-model"), "a  x-evil: 1");
  EXPECT_THAT(response.headers, Not(Contains(Key("x-evil"))));
}

TEST_F(HttpServerTest, AHalfClosedClientStillReadsItsAnswer) {
  Serve();
  RawClient client(address());
  client.Send(Get("/hello"));
  client.EndWriting();
  EXPECT_EQ(client.ReadResponse().body, "hello");
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(HttpServerTest, DrainClosesIdleConnectionsAndFinishesOthers) {
  Serve();
  RawClient idle(address());
  EXPECT_EQ(idle.Ask(Get("/hello")).status, 200);
  RawClient busy(address());
  busy.Send(Get("/hold"));
  const auto held = NextHeld();
  ASSERT_NE(held, nullptr);
  std::atomic<bool> drained = false;
  std::thread drain([&] { drained = server_->Drain(absl::Seconds(10)); });
  EXPECT_TRUE(idle.IsClosed());
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(drained);
  held->Reply(200, {}, "late");
  const RawResponse response = busy.ReadResponse();
  EXPECT_EQ(response.body, "late");
  EXPECT_EQ(response.headers.at("connection"), "close");
  busy.Close();
  drain.join();
  EXPECT_TRUE(drained);
  EXPECT_EQ(server_->num_connections(), 0u);
}

TEST_F(HttpServerTest, BeginDrainTurnsClientsAwayAtOnce) {
  Serve();
  RawClient idle(address());
  EXPECT_EQ(idle.Ask(Get("/hello")).status, 200);
  RawClient busy(address());
  busy.Send(Get("/hold"));
  const auto held = NextHeld();
  ASSERT_NE(held, nullptr);
  server_->BeginDrain();
  server_->BeginDrain();
  EXPECT_TRUE(idle.IsClosed());
  held->Reply(200, {}, "late");
  const RawResponse response = busy.ReadResponse();
  EXPECT_EQ(response.body, "late");
  EXPECT_EQ(response.headers.at("connection"), "close");
  busy.Close();
  EXPECT_TRUE(server_->Drain(absl::Seconds(10)));
}

TEST_F(HttpServerTest, DrainHasADeadlineAndStopCutsOff) {
  Serve();
  RawClient client(address());
  client.Send(Get("/hold"));
  const auto held = NextHeld();
  ASSERT_NE(held, nullptr);
  absl::Notification gone;
  held->OnGone([&gone] { gone.Notify(); });
  EXPECT_FALSE(server_->Drain(absl::Milliseconds(50)));
  EXPECT_FALSE(gone.HasBeenNotified());
  server_->Stop();
  EXPECT_TRUE(gone.HasBeenNotified());
  EXPECT_TRUE(client.IsClosed());
  held->Reply(200, {}, "nobody hears this");
}

TEST_F(HttpServerTest, StartExplainsWhatIsWrong) {
  Serve();
  const auto error = [](HttpServerOptions options) {
    return std::string(HttpServer(std::move(options)).Start().message());
  };
  EXPECT_THAT(error({.listen = address()}), HasSubstr("cannot listen on " + address()));
  EXPECT_THAT(error({.listen = "127.0.0.1"}), HasSubstr("not host:port"));
  EXPECT_THAT(error({.listen = "127.0.0.1:65536"}), HasSubstr("0 to 65535"));
  EXPECT_THAT(error({.listen = "no.such.host.invalid:1"}),
              HasSubstr("no.such.host.invalid' is unknown"));
  EXPECT_THAT(error({.listen = "127.0.0.1:0", .tls_cert = "x"}), HasSubstr("together"));
  EXPECT_THAT(error({.listen = "127.0.0.1:0", .api_key_file = "/nonexistent/keys"}),
              HasSubstr("/nonexistent/keys"));
}

TEST_F(HttpServerTest, PlainTextOffLoopbackIsLogged) {
  options_.listen = "0.0.0.0:0";
  Serve();
  EXPECT_TRUE(Logged("is plain text"));
}

}  // namespace
}  // namespace regatta
