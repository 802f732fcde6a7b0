// The HTTP client against small servers on loopback: trust, proxies, deadlines, redirects, URLs.
#include "orchestrator/http/http_client.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "orchestrator/cluster/certificates.h"
#include "tests/testing/hub_server.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using testing::HubServer;

HttpCall CallTo(const std::string& url) {
  HttpCall call;
  call.url = *ParseHttpUrl(url);
  call.connect_timeout = call.idle_timeout = absl::Seconds(5);
  return call;
}

// Accepts one connection, says `answer` after a request, and holds it open.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    ::bind(fd_, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(fd_, 1);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    url_ = absl::StrCat("http://127.0.0.1:", ntohs(address.sin_port), "/x?y");
    thread_ = std::thread([this, answer = std::move(answer)] {
      connection_ = ::accept(fd_, nullptr, nullptr);
      char bytes[4096];
      if (::read(connection_, bytes, sizeof(bytes)) > 0) {
        EXPECT_EQ(::write(connection_, answer.data(), answer.size()), ssize_t(answer.size()));
      }
    });
  }
  ~OneAnswer() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(connection_);
    ::close(fd_);
  }
  const std::string& url() const { return url_; }

 private:
  const int fd_;
  int connection_ = -1;
  std::string url_;
  std::thread thread_;
};

class HttpsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    CertificateOptions options;
    options.hosts = {"localhost", "hub.example"};
    ASSERT_TRUE(InitCertificates(dir_.File("certs"), options).ok());
    std::filesystem::create_directories(dir_.File("root/acme/tiny"));
    dir_.Write("root/acme/tiny/config.json", "{\"a\": 1}");
    server_ = std::make_unique<HubServer>(
        dir_.File("root"), std::vector<std::string>{"--cert", dir_.File("certs/router.crt"),
                                                    "--key", dir_.File("certs/router.key")});
    ::unsetenv("SSL_CERT_FILE");
    ::unsetenv("HTTPS_PROXY");
    ::unsetenv("NO_PROXY");
  }
  void TearDown() override {
    ::unsetenv("SSL_CERT_FILE");
    ::unsetenv("HTTPS_PROXY");
  }
  void Trust() { ::setenv("SSL_CERT_FILE", dir_.File("certs/ca.crt").c_str(), 1); }
  absl::StatusOr<HttpAnswer> Get(const std::string& host) {
    return PerformHttp(CallTo(absl::StrCat("https://", host, ":", server_->port(),
                                           "/acme/tiny/resolve/main/config.json")));
  }

  TempDir dir_;
  std::unique_ptr<HubServer> server_;
};

TEST_F(HttpsTest, ACertificateMustBeTrustedAndOfThatHost) {
  const auto untrusted = Get("localhost");
  EXPECT_EQ(untrusted.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(untrusted.status().message()), HasSubstr("is not trusted"));
  Trust();
  const auto answer = Get("localhost");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 200u);
  EXPECT_EQ(answer->body, "{\"a\": 1}");
  EXPECT_THAT(std::string(Get("127.0.0.1").status().message()), HasSubstr("mismatch"));
}

// A server of our own, whose file is known: no authority, name or proxy comes into it.
TEST_F(HttpsTest, APinnedCertificateIsTrustedWhateverItsName) {
  ::setenv("HTTPS_PROXY", "http://127.0.0.1:1", 1);
  HttpCall call = CallTo(absl::StrCat("https://127.0.0.1:", server_->port(), "/none"));
  call.pinned_certificate = dir_.File("certs/router.crt");
  const auto answer = PerformHttp(call);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 404u);
  call.pinned_certificate = dir_.File("certs/worker.crt");
  EXPECT_EQ(PerformHttp(call).status().code(), absl::StatusCode::kFailedPrecondition);
  call.pinned_certificate = dir_.File("none.crt");
  EXPECT_THAT(std::string(PerformHttp(call).status().message()), HasSubstr("none.crt"));
}

TEST_F(HttpsTest, AProxyIsAskedForATunnel) {
  Trust();
  const HubServer proxy(dir_.File("root"), {});
  ::setenv("HTTPS_PROXY", proxy.url().c_str(), 1);
  const auto answer = Get("hub.example");  // a name that only the proxy can reach
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->body, "{\"a\": 1}");
  EXPECT_THAT(proxy.Requests(), Contains(HasSubstr("CONNECT hub.example:")));
  ::setenv("NO_PROXY", "other, .localhost", 1);
  EXPECT_FALSE(ProxyFor(*ParseHttpUrl("https://localhost/"))->has_value());
  EXPECT_FALSE(ProxyFor(*ParseHttpUrl("https://a.localhost/"))->has_value());
  EXPECT_TRUE(ProxyFor(*ParseHttpUrl("https://mylocalhost/"))->has_value());
  EXPECT_FALSE(ProxyFor(*ParseHttpUrl("http://x/"))->has_value());
  ::unsetenv("NO_PROXY");
}

TEST(HttpClient, SilenceHasADeadline) {
  const OneAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  HttpCall call = CallTo(server.url());
  call.idle_timeout = absl::Milliseconds(300);
  std::string got;
  call.on_body = [&](absl::string_view bytes) {
    absl::StrAppend(&got, bytes);
    return absl::OkStatus();
  };
  EXPECT_EQ(PerformHttp(call).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(got, "abc");
}

TEST(HttpClient, TheWaitThatIsNamedIsTheOneThatWas) {
  const OneAnswer server("");
  HttpCall call = CallTo(server.url());
  call.idle_timeout = absl::Seconds(30);
  call.deadline = absl::Now() + absl::Seconds(1);
  const auto answer = PerformHttp(call);
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(answer.status().message()),
              ::testing::ContainsRegex("awaiting an answer: nothing within (1s|9[0-9][0-9]ms)"));
}

TEST(HttpClient, AStopEndsTheWait) {
  const OneAnswer server("");
  std::atomic<bool> stop = false;
  HttpCall call = CallTo(server.url());
  call.stop = &stop;
  std::thread interrupter([&] {
    absl::SleepFor(absl::Milliseconds(200));
    stop = true;
  });
  const absl::Time start = absl::Now();
  EXPECT_EQ(PerformHttp(call).status().code(), absl::StatusCode::kCancelled);
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  interrupter.join();
}

TEST(HttpClient, NobodyListeningIsUnavailable) {
  HttpCall call = CallTo("http://127.0.0.1:1/");
  const auto answer = PerformHttp(call);
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(answer.status().message()), HasSubstr("127.0.0.1:1: connecting"));
}

TEST(HttpClient, ChunksAreJoinedAndBodiesBounded) {
  const std::string answer =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  const OneAnswer server(answer), other(answer);
  const auto whole = PerformHttp(CallTo(server.url()));
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(whole->body, "abcde");
  HttpCall call = CallTo(other.url());
  call.max_body = 4;
  EXPECT_EQ(PerformHttp(call).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(HttpClient, InterimAnswersArePassedOver) {
  const OneAnswer server(
      "HTTP/1.1 100 Continue\r\n\r\n"
      "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\ncontent-length: 5\r\n\r\n"
      "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody");
  const absl::StatusOr<HttpAnswer> answer = PerformHttp(CallTo(server.url()));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 200u);
  EXPECT_EQ(answer->body, "body");
  EXPECT_EQ(answer->Header("link"), "");
}

TEST(HttpClient, InterimAnswersHaveAnEndAndUpgradesAreFinal) {
  std::string endless;
  for (int i = 0; i < 17; ++i) endless += "HTTP/1.1 100 Continue\r\n\r\n";
  const OneAnswer server(endless);
  const absl::Status status = PerformHttp(CallTo(server.url())).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("more than 16 interim answers"));
  const OneAnswer upgrading("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n");
  const absl::StatusOr<HttpAnswer> answer = PerformHttp(CallTo(upgrading.url()));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 101u);
}

TEST(HttpClient, APortOfGrpcIsNamed) {
  using std::string_literals::operator""s;
  const OneAnswer grpc("\0\0\x06\x04\0\0\0\0\0\0\x05\0\0@\0"s);
  const absl::Status status = PerformHttp(CallTo(grpc.url())).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(),
              HasSubstr("it speaks HTTP/2, as ports of gRPC do, not HTTP/1.1; a router's is "
                        "given as grpc://127.0.0.1:"));
  const OneAnswer noise("\x01\x02\x03 neither\r\n\r\n");
  const absl::Status other = PerformHttp(CallTo(noise.url())).status();
  EXPECT_EQ(other.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(other.message(), HasSubstr("awaiting an answer: "));
}

TEST(HttpUrl, PartsAndErrors) {
  const auto url = ParseHttpUrl("HTTPS://Example.com:8443/a/b?c=d#e");
  ASSERT_TRUE(url.ok()) << url.status();
  EXPECT_EQ(url->ToString(), "https://example.com:8443/a/b?c=d");
  EXPECT_EQ(ParseHttpUrl("http://[::1]:80")->ToString(), "http://[::1]/");
  for (const char* bad : {"ftp://x/", "x", "http://", "http://a:b@c/", "http://x:0/", "http://x:y/",
                          "http://x/a b", "http://[::1"}) {
    EXPECT_FALSE(ParseHttpUrl(bad).ok()) << bad;
  }
}

// RFC 3986, 5.4, as far as servers use it.
TEST(HttpUrl, LocationsLeadOn) {
  const HttpUrl base = *ParseHttpUrl("http://a/b/c?q");
  EXPECT_EQ(ResolveLocation(base, "/d")->ToString(), "http://a/d");
  EXPECT_EQ(ResolveLocation(base, "d?e:f")->ToString(), "http://a/b/d?e:f");
  EXPECT_EQ(ResolveLocation(base, "//x:81/y")->ToString(), "http://x:81/y");
  EXPECT_EQ(ResolveLocation(base, "https://x/y")->ToString(), "https://x/y");
  EXPECT_FALSE(ResolveLocation(base, "javascript:x").ok());
  EXPECT_FALSE(base.SameOrigin(*ParseHttpUrl("https://a/")));
}

}  // namespace
}  // namespace regatta
