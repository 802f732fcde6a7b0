// Certificates that gRPC itself accepts: a server that demands them serves our client and refuses
// strangers.
#include "orchestrator/cluster/certificates.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "common/credentials.h"
#include "common/grpc_listener.h"
#include "proto/worker.grpc.pb.h"
#include "tests/testing/file_size_limit.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

class CertificatesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "/regatta_certificates_" + std::to_string(getpid());
    std::filesystem::remove_all(dir_);
    options_.hosts = DefaultCertificateHosts();
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  TlsOptions Tls(const std::string& name) const {
    return {.cert = dir_ + "/" + name + ".crt",
            .key = dir_ + "/" + name + ".key",
            .ca = dir_ + "/ca.crt"};
  }

  // Starts a server with `tls`; true when a client with `client` gets through to it.
  bool Connects(const TlsOptions& server_tls, const TlsOptions& client_tls) {
    auto server_credentials = MakeServerCredentials(server_tls, "127.0.0.1:0");
    EXPECT_TRUE(server_credentials.ok()) << server_credentials.status();
    int port = 0;
    Worker::Service service;  // answers every call with UNIMPLEMENTED
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", *server_credentials, &port);
    builder.RegisterService(&service);
    const auto server = builder.BuildAndStart();
    const std::string address = "127.0.0.1:" + std::to_string(port);
    auto channel_credentials = MakeChannelCredentials(client_tls, address);
    EXPECT_TRUE(channel_credentials.ok()) << channel_credentials.status();
    const auto channel = grpc::CreateChannel(address, *channel_credentials);
    return channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(2));
  }

  std::string dir_;
  CertificateOptions options_;
};

TEST_F(CertificatesTest, ServerAndClientOfOneAuthority_Connect) {
  ASSERT_TRUE(InitCertificates(dir_, options_).ok());
  EXPECT_TRUE(Connects(Tls("router"), Tls("client")));
}

TEST_F(CertificatesTest, StrangersCertificate_IsRefused) {
  ASSERT_TRUE(InitCertificates(dir_, options_).ok());
  const TlsOptions server = Tls("router");
  const std::string other = dir_ + "_other";
  std::filesystem::remove_all(other);
  ASSERT_TRUE(InitCertificates(other, options_).ok());
  const TlsOptions stranger = {
      .cert = other + "/client.crt", .key = other + "/client.key", .ca = server.ca};
  EXPECT_FALSE(Connects(server, stranger));
  std::filesystem::remove_all(other);
}

TEST_F(CertificatesTest, Keys_AreReadableByTheOwnerOnly) {
  ASSERT_TRUE(InitCertificates(dir_, options_).ok());
  struct stat info;
  ASSERT_EQ(stat((dir_ + "/ca.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(CertificatesTest, ExistingAuthority_IsNeverReplaced) {
  ASSERT_TRUE(InitCertificates(dir_, options_).ok());
  EXPECT_EQ(InitCertificates(dir_, options_).code(), absl::StatusCode::kAlreadyExists);
}

// Wherever the disk is full, nothing is left that would be taken for an authority.
TEST_F(CertificatesTest, AFullDisk_IsNamedAndLeavesNothingBehind) {
  for (const rlim_t bytes : {0, 100, 400}) {
    absl::Status status;
    {
      const FileSizeLimit limit(bytes);
      status = InitCertificates(dir_, options_);
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << bytes;
    EXPECT_THAT(std::string(status.message()), HasSubstr("cannot write '" + dir_)) << bytes;
    EXPECT_TRUE(std::filesystem::is_empty(dir_)) << bytes;
  }
  EXPECT_TRUE(InitCertificates(dir_, options_).ok());
}

TEST_F(CertificatesTest, AKeyOfAnotherCertificate_IsNamedByServersAndClients) {
  ASSERT_TRUE(InitCertificates(dir_, options_).ok());
  TlsOptions mixed = Tls("router");
  mixed.key = Tls("worker").key;
  const std::string cause = mixed.key + "' is not the key of the certificate '" + mixed.cert;
  const absl::Status server = MakeServerCredentials(mixed, "127.0.0.1:0").status();
  EXPECT_EQ(server.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(server.message()), HasSubstr(cause));
  const absl::Status client = MakeChannelCredentials(mixed, "127.0.0.1:1").status();
  EXPECT_THAT(std::string(client.message()), HasSubstr(cause));
  mixed.key = mixed.cert;
  EXPECT_THAT(std::string(MakeServerCredentials(mixed, "127.0.0.1:0").status().message()),
              HasSubstr("holds no private key"));
}

TEST_F(CertificatesTest, DaysOutOfRange_AreNamed) {
  options_.days = 0;
  EXPECT_THAT(std::string(InitCertificates(dir_, options_).message()), HasSubstr("--days 0"));
}

TEST(GrpcListener, ATakenPort_IsSaidInWordsAndInNoLogLine) {
  Worker::Service service;
  const auto start = [&service](const std::string& address, int& port) {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service);
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    return StartListening(builder, address, port);
  };
  int port = 0, none = 0;
  const auto first = start("127.0.0.1:0", port);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_GT(port, 0);
  const std::string taken = "127.0.0.1:" + std::to_string(port);
  testing::internal::CaptureStderr();
  const absl::Status second = start(taken, none).status();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(second.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(second.message(), "--listen: cannot listen on '" + taken + "': Address already in use");
}

TEST(Credentials, PlaintextOffLoopback_NeedsInsecure) {
  const auto refused = MakeServerCredentials({}, "0.0.0.0:9000");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("--insecure"));
  EXPECT_TRUE(MakeServerCredentials({.insecure = true}, "0.0.0.0:9000").ok());
  EXPECT_TRUE(MakeServerCredentials({}, "127.0.0.1:9000").ok());
  EXPECT_FALSE(MakeChannelCredentials({}, "10.0.0.1:9000").ok());
}

TEST(Credentials, MissingFileAndHalfAPair_AreNamed) {
  const auto missing = MakeServerCredentials(
      {.cert = "/no/such.crt", .key = "/no/such.key", .ca = "/no/ca"}, "0.0.0.0:1");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("/no/such"));
  EXPECT_EQ(MakeChannelCredentials({.cert = "/no/such.crt"}, "h:1").status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace regatta
