// Every limit of the HTTP server at, below and above its value, and every deadline.
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/router/http/http_fixture.h"

namespace regatta {
namespace {

class HttpLimitsTest : public HttpFixture {
 protected:
  // Of one request; 0 when the server said nothing before it closed.
  int StatusOf(const std::string& request) {
    RawClient client(address());
    client.Send(request);
    return client.ReadResponse().status;
  }
  // What was answered is let go of a moment after the client has it.
  bool AwaitNoBodies() {
    for (int i = 0; i < 500 && server_->body_bytes_held() > 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return server_->body_bytes_held() == 0;
  }
  // Sends `head`, then `piece` again and again until the server answers.
  RawResponse Drip(const std::string& head, const std::string& piece, absl::Duration every) {
    RawClient client(address());
    client.Send(head);
    for (int i = 0; i < 500; ++i) {
      const std::string text = client.ReadUntil("\r\n\r\n", every);
      if (!text.empty()) {
        RawResponse response;
        response.status = std::atoi(text.substr(9, 3).c_str());
        return response;
      }
      if (!client.Send(piece)) break;
    }
    return {};
  }
};

TEST_F(HttpLimitsTest, Target) {
  Serve();
  const size_t limit = options_.limits.max_target_bytes;
  const auto request = [](size_t bytes) { return Get("/hello?" + std::string(bytes - 7, 'q')); };
  EXPECT_EQ(StatusOf(request(limit - 1)), 200);
  EXPECT_EQ(StatusOf(request(limit)), 200);
  EXPECT_EQ(StatusOf(request(limit + 1)), 414);
  EXPECT_EQ(StatusOf("GET /" + std::string(64 << 10, 'x')), 414) << "a line without an end";
}

TEST_F(HttpLimitsTest, HeaderBytes) {
  Serve();
  const size_t limit = options_.limits.max_header_bytes;
  const auto request = [](size_t bytes) {
    const size_t rest = bytes - Get("/hello", "x-a: \r\n").size();
    return Get("/hello", "x-a: " + std::string(rest, 'x') + "\r\n");
  };
  ASSERT_EQ(request(limit).size(), limit);
  EXPECT_EQ(StatusOf(request(limit - 1)), 200);
  EXPECT_EQ(StatusOf(request(limit)), 200);
  EXPECT_EQ(StatusOf(request(limit + 1)), 431);
  const std::string endless = Get("/hello", "x-a: " + std::string(1 << 20, 'x'));
  EXPECT_EQ(StatusOf(endless.substr(0, endless.size() - 4)), 431) << "a header without an end";
}

TEST_F(HttpLimitsTest, HeaderBytesCountAcrossReads) {
  Serve();
  RawClient client(address());
  client.Send("GET /hello HTTP/1.1\r\nhost: a\r\n");
  const std::string line = "x-a: " + std::string(993, 'x') + "\r\n";
  for (int i = 0; i < 32; ++i) {
    client.Send(line);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  client.Send(line);
  EXPECT_EQ(client.ReadResponse().status, 431);
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(HttpLimitsTest, HeaderCount) {
  Serve();
  const size_t limit = options_.limits.max_headers;
  const auto request = [](size_t count) {
    std::string headers;
    for (size_t i = 1; i < count; ++i) absl::StrAppend(&headers, "x", i, ": 1\r\n");
    return Get("/hello", headers);
  };
  EXPECT_EQ(StatusOf(request(limit - 1)), 200);
  EXPECT_EQ(StatusOf(request(limit)), 200);
  EXPECT_EQ(StatusOf(request(limit + 1)), 431);
}

TEST_F(HttpLimitsTest, BodyBytes) {
  Serve();
  const size_t limit = options_.limits.max_body_bytes;
  for (const size_t bytes : {limit - 1, limit}) {
    RawClient client(address());
    std::thread sender([&] { client.Send(Post("/echo", std::string(bytes, 'x'))); });
    const RawResponse response = client.ReadResponse();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body.size(), bytes);
    sender.join();
  }
  RawClient client(address());
  client.Send(
      absl::StrCat("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: ", limit + 1, "\r\n\r\n"));
  EXPECT_EQ(client.ReadResponse().status, 413) << "before a byte of the body came";
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(HttpLimitsTest, ChunkedBodyBytes) {
  options_.limits.max_body_bytes = 10;
  Serve();
  const std::string head = "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
  EXPECT_EQ(StatusOf(head + "4\r\nabcd\r\n5\r\nefghi\r\n0\r\n\r\n"), 200);
  EXPECT_EQ(StatusOf(head + "4\r\nabcd\r\n6\r\nefghij\r\n0\r\n\r\n"), 200);
  EXPECT_EQ(StatusOf(head + "4\r\nabcd\r\n7\r\n"), 413) << "as soon as a chunk would pass it";
}

TEST_F(HttpLimitsTest, ChunkLinesAndTrailersAreBounded) {
  Serve();
  const std::string head = "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
  EXPECT_EQ(StatusOf(head + "1;" + std::string(64 << 10, 'x')), 431);
  EXPECT_EQ(StatusOf(head + "0\r\nx: " + std::string(64 << 10, 'x')), 431);
}

TEST_F(HttpLimitsTest, BytesSentAhead) {
  Serve();
  const size_t limit = options_.limits.max_ahead_bytes;
  const auto ahead = [](size_t bytes) {
    const std::string request = Post("/echo", "", "x-a: \r\n");
    const std::string more = "x-a: " + std::string(1000, 'x') + "\r\n";
    std::string all;
    while (all.size() + 2 * Post("/echo", "", more).size() < bytes) all += Post("/echo", "", more);
    const size_t rest = bytes - all.size() - request.size();
    return all + Post("/echo", "", "x-a: " + std::string(rest, 'x') + "\r\n");
  };
  for (const size_t bytes : {limit - 1, limit}) {
    ASSERT_EQ(ahead(bytes).size(), bytes);
    RawClient client(address());
    client.Send(Get("/hold"));
    const auto held = NextHeld();
    ASSERT_NE(held, nullptr);
    client.Send(ahead(bytes));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    held->Reply(200, {}, "held");
    EXPECT_EQ(client.ReadResponse().body, "held") << bytes;
    EXPECT_EQ(client.ReadResponse().status, 200) << bytes;
  }
  RawClient client(address());
  client.Send(Get("/hold"));
  const auto held = NextHeld();
  ASSERT_NE(held, nullptr);
  absl::Notification gone;
  held->OnGone([&gone] { gone.Notify(); });
  client.Send(ahead(limit + 1));
  EXPECT_TRUE(gone.WaitForNotificationWithTimeout(absl::Seconds(5)));
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(HttpLimitsTest, BodiesTogether) {
  options_.limits.max_bodies_bytes = 1000;
  Serve();
  RawClient holder(address());
  holder.Send(Post("/hold", std::string(600, 'x')));
  auto held = NextHeld();
  ASSERT_NE(held, nullptr);
  EXPECT_EQ(StatusOf(Post("/echo", std::string(400, 'x'))), 200);
  EXPECT_EQ(StatusOf(Post("/echo", std::string(401, 'x'))), 503);
  EXPECT_EQ(StatusOf(Get("/hello")), 200);
  EXPECT_EQ(server_->body_bytes_held(), 600u);
  held->Reply(200, {}, "");
  EXPECT_EQ(holder.ReadResponse().status, 200);
  EXPECT_EQ(StatusOf(Post("/echo", std::string(401, 'x'))), 503) << "the handler still has it";
  held.reset();
  EXPECT_EQ(holder.Ask(Get("/hello")).status, 200);
  EXPECT_EQ(StatusOf(Post("/echo", std::string(1000, 'x'))), 200);
  EXPECT_TRUE(AwaitNoBodies());
  EXPECT_GE(server_->body_bytes_freed(), 400u + 600u + 1000u);
}

TEST_F(HttpLimitsTest, LargeAnswersCountAsBodies) {
  options_.limits.max_bodies_bytes = 1000;
  options_.limits.large_answer_bytes = 100;
  Serve();
  const auto status = [this](size_t body, size_t answer) {
    RawClient client(address());
    client.Send(Post("/hold", std::string(body, 'x')));
    auto held = NextHeld();
    if (held == nullptr) return 0;
    held->Reply(200, {}, std::string(answer, 'x'));
    held.reset();
    const int status = client.ReadResponse().status;
    EXPECT_TRUE(AwaitNoBodies());
    return status;
  };
  EXPECT_EQ(status(600, 399), 200);
  EXPECT_EQ(status(600, 400), 200);
  EXPECT_EQ(status(600, 401), 503);
  EXPECT_EQ(status(1000, 100), 200) << "small ones do not count";
  EXPECT_EQ(status(1000, 101), 503);
}

TEST_F(HttpLimitsTest, Connections) {
  options_.limits.max_connections = 3;
  Serve();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(address()));
    EXPECT_EQ(clients.back()->Ask(Get("/hello")).status, 200) << i;
  }
  {
    RawClient fourth(address());
    const RawResponse response = fourth.ReadResponse();
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.headers.at("retry-after"), "1");
    EXPECT_TRUE(fourth.IsClosed());
  }
  EXPECT_EQ(clients[0]->Ask(Get("/hello")).status, 200);
  clients.pop_back();
  int status = 503;
  for (int i = 0; i < 100 && status == 503; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    status = StatusOf(Get("/hello"));
  }
  EXPECT_EQ(status, 200);
}

TEST_F(HttpLimitsTest, ConnectionsOfOnePeer) {
  options_.limits.max_connections_per_peer = 2;
  Serve();
  RawClient first(address()), second(address());
  EXPECT_EQ(first.Ask(Get("/hello")).status, 200);
  EXPECT_EQ(second.Ask(Get("/hello")).status, 200);
  EXPECT_EQ(StatusOf(Get("/hello")), 503);
}

TEST_F(HttpLimitsTest, AThousandConnections) {
  Serve();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 1000; ++i) clients.push_back(std::make_unique<RawClient>(address()));
  for (int round = 0; round < 3; ++round) {
    for (auto& client : clients) ASSERT_TRUE(client->Send(Get("/hello")));
    for (auto& client : clients) ASSERT_EQ(client->ReadResponse().body, "hello");
  }
  EXPECT_EQ(server_->num_connections(), 1000u);
  clients.clear();
  for (int i = 0; i < 200 && server_->num_connections() > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(server_->num_connections(), 0u);
}

TEST_F(HttpLimitsTest, HeaderDeadlineIsForAllOfIt) {
  options_.limits.header_read = absl::Milliseconds(300);
  Serve();
  const absl::Time start = absl::Now();
  EXPECT_EQ(Drip("GET /hello HTTP/1.1\r\n", "x", absl::Milliseconds(20)).status, 408);
  const absl::Duration took = absl::Now() - start;
  EXPECT_GE(took, absl::Milliseconds(250));
  EXPECT_LT(took, absl::Seconds(3));
  RawClient silent(address());
  EXPECT_TRUE(silent.IsClosed()) << "who says nothing is not answered";
}

TEST_F(HttpLimitsTest, KeepAliveIdle) {
  options_.limits.keep_alive_idle = absl::Milliseconds(200);
  Serve();
  RawClient client(address());
  EXPECT_EQ(client.Ask(Get("/hello")).status, 200);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(client.Ask(Get("/hello")).status, 200);
  const absl::Time start = absl::Now();
  EXPECT_TRUE(client.IsClosed());
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(150));
}

TEST_F(HttpLimitsTest, BodyIdle) {
  options_.limits.body_idle = absl::Milliseconds(200);
  Serve();
  RawClient client(address());
  client.Send("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf");
  EXPECT_EQ(client.ReadResponse().status, 408);
  EXPECT_TRUE(client.IsClosed());
}

TEST_F(HttpLimitsTest, BodyRate) {
  options_.limits.body_idle = absl::Milliseconds(200);
  options_.limits.min_body_rate = 1000;
  Serve();
  const std::string head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n";
  const absl::Time start = absl::Now();
  EXPECT_EQ(Drip(head, "x", absl::Milliseconds(20)).status, 408) << "never idle, but too slow";
  EXPECT_LT(absl::Now() - start, absl::Seconds(3));
}

TEST_F(HttpLimitsTest, AClientThatDoesNotReadItsAnswerIsCutOff) {
  options_.limits.write_stall = absl::Milliseconds(300);
  Serve();
  RawClient client(address(), 4096);
  client.Send(Get("/hold"));
  const auto held = NextHeld();
  ASSERT_NE(held, nullptr);
  held->Reply(200, {}, std::string(16 << 20, 'x'));
  for (int i = 0; i < 500 && server_->num_connections() > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(server_->num_connections(), 0u);
}

TEST_F(HttpLimitsTest, AClientThatKeepsSendingAfterTheLastAnswerIsCutOff) {
  options_.limits.linger = absl::Milliseconds(200);
  Serve();
  RawClient client(address());
  client.Send(Get("/hello", "connection: close\r\n"));
  EXPECT_EQ(client.ReadResponse().status, 200);
  const absl::Time start = absl::Now();
  while (client.Send("x") && absl::Now() - start < absl::Seconds(5)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_LT(absl::Now() - start, absl::Seconds(4));
}

}  // namespace
}  // namespace regatta
