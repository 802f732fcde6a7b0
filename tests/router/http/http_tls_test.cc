// TLS of the HTTP server: handshakes, streams, certificates that change.
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/router/http/http_fixture.h"
#include "tests/testing/temp_dir.h"

namespace regatta {
namespace {

using testing::HasSubstr;

class HttpTlsTest : public HttpFixture {
 protected:
  // A certificate of its own for `name`, in files of that name.
  void MakeCertificate(const std::string& name) {
    const std::string command = absl::StrCat(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 ",
        "-subj /CN=", name, " -keyout ", dir_.File(name + ".key"), " -out ",
        dir_.File(name + ".crt"), " 2>/dev/null");
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  void Use(const std::string& cert, const std::string& key) {
    std::filesystem::copy_file(dir_.File(cert + ".crt"), dir_.File("tls.crt"),
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::copy_file(dir_.File(key + ".key"), dir_.File("tls.key"),
                               std::filesystem::copy_options::overwrite_existing);
  }
  void ServeTls() {
    MakeCertificate("first");
    Use("first", "first");
    options_.tls_cert = dir_.File("tls.crt");
    options_.tls_key = dir_.File("tls.key");
    options_.reload_interval = absl::Milliseconds(20);
    Serve();
  }

  TempDir dir_;
};

TEST_F(HttpTlsTest, RequestsAndStreams) {
  ServeTls();
  RawClient client(address());
  ASSERT_TRUE(client.StartTls());
  EXPECT_EQ(client.TlsVersion(), "TLSv1.3");
  EXPECT_EQ(client.Ask(Get("/hello")).body, "hello");
  const std::string large(3 << 20, 'x');
  std::thread sender([&] { client.Send(Post("/echo", large)); });
  sender.join();
  EXPECT_EQ(client.ReadResponse().body, large);
  client.Send(Get("/hello") + Get("/hello"));
  EXPECT_EQ(client.ReadResponse().body, "hello");
  EXPECT_EQ(client.ReadResponse().body, "hello");
  client.Send(Get("/hold"));
  const auto held = NextHeld();
  ASSERT_NE(held, nullptr);
  held->StartEvents({});
  std::string expected;
  for (int i = 0; i < 100; ++i) {
    held->SendEvents(absl::StrCat("data: ", i, "\n\n"));
    absl::StrAppend(&expected, "data: ", i, "\n\n");
  }
  held->EndEvents();
  EXPECT_EQ(client.ReadResponse().body, expected);
  client.Ask(Get("/hello", "connection: close\r\n"));
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(HttpTlsTest, ALeavingClientIsNoticed) {
  ServeTls();
  RawClient client(address());
  ASSERT_TRUE(client.StartTls());
  client.Send(Get("/hold"));
  const auto held = NextHeld();
  ASSERT_NE(held, nullptr);
  absl::Notification gone;
  held->OnGone([&gone] { gone.Notify(); });
  client.Close();
  EXPECT_TRUE(gone.WaitForNotificationWithTimeout(absl::Seconds(5)));
}

TEST_F(HttpTlsTest, AClientThatDoesNotReadIsCutOff) {
  ServeTls();
  RawClient client(address(), 4096);
  ASSERT_TRUE(client.StartTls());
  client.Send(Get("/hold"));
  const auto held = NextHeld();
  ASSERT_NE(held, nullptr);
  absl::Notification gone;
  held->OnGone([&gone] { gone.Notify(); });
  held->StartEvents({});
  size_t sent = 0;
  while (held->SendEvents(std::string(10000, 'x'))) {
    ASSERT_LT(sent += 10000, 64u << 20);
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  EXPECT_TRUE(gone.WaitForNotificationWithTimeout(absl::Seconds(5)));
}

TEST_F(HttpTlsTest, PlainTextAndSilenceEndTheHandshake) {
  options_.limits.handshake = absl::Milliseconds(200);
  ServeTls();
  RawClient plain(address());
  plain.Send(Get("/hello"));
  EXPECT_EQ(plain.ReadResponse().status, 0);
  RawClient silent(address());
  const absl::Time start = absl::Now();
  EXPECT_TRUE(silent.IsClosed());
  EXPECT_LT(absl::Now() - start, absl::Seconds(3));
}

TEST_F(HttpTlsTest, ANewCertificateIsTakenWithoutDroppingConnections) {
  ServeTls();
  RawClient old(address());
  ASSERT_TRUE(old.StartTls());
  EXPECT_EQ(old.CertificateName(), "first");
  MakeCertificate("second");
  Use("second", "second");
  ASSERT_TRUE(Logged("read certificate and key again"));
  EXPECT_EQ(old.Ask(Get("/hello")).body, "hello");
  RawClient client(address());
  ASSERT_TRUE(client.StartTls());
  EXPECT_EQ(client.CertificateName(), "second");
  EXPECT_EQ(client.Ask(Get("/hello")).body, "hello");
}

TEST_F(HttpTlsTest, ABadCertificateLeavesTheOldOne) {
  ServeTls();
  MakeCertificate("second");
  Use("second", "first");
  ASSERT_TRUE(Logged("the old certificate and key stay"));
  RawClient client(address());
  ASSERT_TRUE(client.StartTls());
  EXPECT_EQ(client.CertificateName(), "first");
  Use("second", "second");
  ASSERT_TRUE(Logged("read certificate and key again"));
}

TEST_F(HttpTlsTest, OldProtocolsAreRefused) {
  ServeTls();
  const std::string command =
      absl::StrCat("openssl s_client -connect ", address(),
                   " -tls1_1 -cipher ALL:@SECLEVEL=0 </dev/null 2>&1 | grep -q 'Cipher is (NONE)'");
  EXPECT_EQ(std::system(command.c_str()), 0);
  const std::string newer = absl::StrCat("openssl s_client -connect ", address(),
                                         " -tls1_2 -alpn h2,http/1.1 </dev/null 2>&1 | "
                                         "grep -q 'ALPN protocol: http/1.1'");
  EXPECT_EQ(std::system(newer.c_str()), 0);
}

TEST_F(HttpTlsTest, StartNamesTheFileThatIsWrong) {
  MakeCertificate("first");
  MakeCertificate("second");
  dir_.Write("text.pem", "no certificate");
  const auto error = [this](const std::string& cert, const std::string& key) {
    HttpServerOptions options{.listen = "127.0.0.1:0"};
    options.tls_cert = dir_.File(cert);
    options.tls_key = dir_.File(key);
    return std::string(HttpServer(std::move(options)).Start().message());
  };
  EXPECT_THAT(error("absent.crt", "first.key"), HasSubstr("--http-tls-cert"));
  EXPECT_THAT(error("text.pem", "first.key"), HasSubstr("text.pem"));
  EXPECT_THAT(error("first.crt", "text.pem"), HasSubstr("--http-tls-key"));
  EXPECT_THAT(error("first.crt", "second.key"), HasSubstr("mismatch"));
}

}  // namespace
}  // namespace regatta
