// Event streams: framing, gathering, clients that are slow or leave, and threads.
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/router/http/http_fixture.h"

namespace regatta {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;

class HttpStreamTest : public HttpFixture {
 protected:
  // A stream to `client`, begun.
  std::shared_ptr<Exchange> Stream(RawClient& client) {
    client.Send(Get("/hold"));
    std::shared_ptr<Exchange> exchange = NextHeld();
    if (exchange != nullptr) exchange->StartEvents({{"x-model", "m"}});
    return exchange;
  }
  // Keeps the thread of `exchange` busy until the returned notification is notified.
  static std::shared_ptr<absl::Notification> Block(Exchange& exchange) {
    auto release = std::make_shared<absl::Notification>();
    absl::Notification blocked;
    exchange.Post([release, &blocked] {
      blocked.Notify();
      release->WaitForNotification();
    });
    blocked.WaitForNotification();
    return release;
  }
};

TEST_F(HttpStreamTest, EventsArriveAsTheyAreSent) {
  Serve();
  RawClient client(address());
  const auto exchange = Stream(client);
  ASSERT_NE(exchange, nullptr);
  const std::string head = client.ReadUntil("\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("content-type: text/event-stream"));
  EXPECT_THAT(head, HasSubstr("transfer-encoding: chunked"));
  EXPECT_THAT(head, HasSubstr("cache-control: no-cache"));
  EXPECT_THAT(head, HasSubstr("x-model: m"));
  EXPECT_TRUE(exchange->SendEvents("data: one\n\n"));
  EXPECT_EQ(client.ReadUntil("\n\n\r\n"), "b\r\ndata: one\n\n\r\n");
  EXPECT_TRUE(exchange->SendEvents("data: two\n\n"));
  EXPECT_EQ(client.ReadUntil("\n\n\r\n"), "b\r\ndata: two\n\n\r\n");
  exchange->EndEvents();
  EXPECT_EQ(client.ReadUntil("0\r\n\r\n"), "0\r\n\r\n");
  EXPECT_EQ(client.Ask(Get("/hello")).body, "hello") << "the connection goes on";
}

TEST_F(HttpStreamTest, WhatGathersGoesOutTogether) {
  Serve();
  RawClient client(address());
  const auto exchange = Stream(client);
  ASSERT_NE(exchange, nullptr);
  client.ReadUntil("\r\n\r\n");
  const auto release = Block(*exchange);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(exchange->SendEvents(absl::StrCat("data: ", i, "\n\n")));
  exchange->EndEvents();
  release->Notify();
  const std::string chunk = client.ReadUntil("0\r\n\r\n");
  EXPECT_EQ(chunk.substr(0, 4), "5a\r\n") << "ten events of nine bytes in one chunk";
}

TEST_F(HttpStreamTest, AWholeStreamWithinTheHandler) {
  options_.threads = 1;
  server_ = std::make_unique<HttpServer>(options_);
  server_->Route("GET", "/count", [](std::shared_ptr<Exchange> exchange) {
    exchange->StartEvents({});
    for (int i = 0; i < 3; ++i) exchange->SendEvents(absl::StrCat("data: ", i, "\n\n"));
    exchange->EndEvents();
  });
  ASSERT_TRUE(server_->Start().ok());
  RawClient client(address());
  EXPECT_EQ(client.Ask(Get("/count")).body, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
  client.Send(Get("/count") + Get("/count"));
  EXPECT_EQ(client.ReadResponse().body, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
  EXPECT_EQ(client.ReadResponse().body, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
  const RawResponse head = client.Ask("HEAD /count HTTP/1.1\r\nhost: a\r\n\r\n", true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(client.Ask(Get("/count")).body, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
}

TEST_F(HttpStreamTest, AnEmptyStream) {
  Serve();
  RawClient client(address());
  const auto exchange = Stream(client);
  ASSERT_NE(exchange, nullptr);
  EXPECT_TRUE(exchange->SendEvents(""));
  exchange->EndEvents();
  EXPECT_EQ(client.ReadResponse().body, "");
}

TEST_F(HttpStreamTest, Http10StreamsEndWithTheConnection) {
  Serve();
  RawClient client(address());
  client.Send("GET /hold HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
  const auto exchange = NextHeld();
  ASSERT_NE(exchange, nullptr);
  exchange->StartEvents({});
  exchange->SendEvents("data: 1\n\n");
  exchange->EndEvents();
  const RawResponse response = client.ReadResponse();
  EXPECT_THAT(response.headers, Not(Contains(Key("transfer-encoding"))));
  EXPECT_EQ(response.headers.at("connection"), "close");
  EXPECT_EQ(response.body, "data: 1\n\n");
}

TEST_F(HttpStreamTest, SilentStreamsAreKeptAlive) {
  options_.limits.event_silence = absl::Milliseconds(100);
  Serve();
  RawClient client(address());
  const auto exchange = Stream(client);
  ASSERT_NE(exchange, nullptr);
  client.ReadUntil("\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\n\n\r\n"), "e\r\n: keep-alive\n\n\r\n");
  exchange->SendEvents("data: 1\n\n");
  EXPECT_EQ(client.ReadUntil("\n\n\r\n"), "9\r\ndata: 1\n\n\r\n");
  EXPECT_EQ(client.ReadUntil("\n\n\r\n"), "e\r\n: keep-alive\n\n\r\n");
}

TEST_F(HttpStreamTest, RequestsWithoutAnswerYetAreLeftAlone) {
  options_.limits.event_silence = absl::Milliseconds(50);
  options_.limits.keep_alive_idle = absl::Milliseconds(50);
  options_.limits.header_read = absl::Milliseconds(50);
  Serve();
  RawClient client(address());
  client.Send(Get("/hold"));
  const auto exchange = NextHeld();
  ASSERT_NE(exchange, nullptr);
  EXPECT_EQ(client.ReadUntil("\n", absl::Milliseconds(400)), "");
  exchange->Reply(200, {}, "slow");
  EXPECT_EQ(client.ReadResponse().body, "slow");
}

TEST_F(HttpStreamTest, ALeavingClientIsNoticedAtOnce) {
  Serve();
  for (const bool streaming : {false, true}) {
    for (const bool reset : {false, true}) {
      RawClient client(address());
      client.Send(Get("/hold"));
      const auto exchange = NextHeld();
      ASSERT_NE(exchange, nullptr);
      if (streaming) {
        exchange->StartEvents({});
        client.ReadUntil("\r\n\r\n");
      }
      absl::Notification gone;
      exchange->OnGone([&gone] { gone.Notify(); });
      EXPECT_FALSE(gone.HasBeenNotified());
      const absl::Time start = absl::Now();
      if (reset) {
        client.Reset();
      } else {
        client.Close();
      }
      ASSERT_TRUE(gone.WaitForNotificationWithTimeout(absl::Seconds(5)));
      EXPECT_LT(absl::Now() - start, absl::Seconds(1));
      EXPECT_FALSE(exchange->SendEvents("data: 1\n\n"));
      exchange->Reply(200, {}, "");
      exchange->EndEvents();
    }
  }
}

TEST_F(HttpStreamTest, OnGoneAfterTheClientHasGone) {
  Serve();
  RawClient client(address());
  const auto exchange = Stream(client);
  ASSERT_NE(exchange, nullptr);
  client.Reset();
  for (int i = 0; i < 500 && exchange->SendEvents("data: 1\n\n"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  absl::Notification gone;
  exchange->OnGone([&gone] { gone.Notify(); });
  EXPECT_TRUE(gone.WaitForNotificationWithTimeout(absl::Seconds(5)));
}

TEST_F(HttpStreamTest, OnGoneIsDroppedWithACompleteAnswer) {
  Serve();
  RawClient client(address());
  const auto exchange = Stream(client);
  ASSERT_NE(exchange, nullptr);
  auto called = std::make_shared<std::atomic<bool>>(false);
  const std::weak_ptr<std::atomic<bool>> alive = called;
  exchange->OnGone([called] { *called = true; });
  called.reset();
  EXPECT_FALSE(alive.expired());
  exchange->EndEvents();
  EXPECT_TRUE(alive.expired());
  EXPECT_EQ(client.ReadResponse().status, 200);
}

TEST_F(HttpStreamTest, WhatWaitsForASlowReaderIsBounded) {
  options_.limits.max_stream_bytes = 1000;
  Serve();
  for (const size_t last : {499, 500, 501}) {
    RawClient client(address());
    const auto exchange = Stream(client);
    ASSERT_NE(exchange, nullptr);
    client.ReadUntil("\r\n\r\n");
    absl::Notification gone;
    exchange->OnGone([&gone] { gone.Notify(); });
    const auto release = Block(*exchange);
    EXPECT_TRUE(exchange->SendEvents(std::string(500, 'x')));
    EXPECT_EQ(exchange->SendEvents(std::string(last, 'x')), last <= 500) << last;
    release->Notify();
    if (last <= 500) {
      exchange->EndEvents();
      bool closed = true;
      EXPECT_THAT(client.ReadAll(closed, absl::Milliseconds(300)), HasSubstr("0\r\n\r\n"));
      EXPECT_FALSE(closed);
      EXPECT_FALSE(gone.HasBeenNotified());
    } else {
      EXPECT_TRUE(gone.WaitForNotificationWithTimeout(absl::Seconds(5)));
      bool closed = false;
      EXPECT_THAT(client.ReadAll(closed), Not(HasSubstr("0\r\n\r\n"))) << "not a proper end";
      EXPECT_TRUE(closed);
    }
  }
}

TEST_F(HttpStreamTest, OneLargeEventPassesWhenNothingWaits) {
  options_.limits.max_stream_bytes = 1000;
  Serve();
  RawClient client(address());
  const auto exchange = Stream(client);
  ASSERT_NE(exchange, nullptr);
  EXPECT_TRUE(exchange->SendEvents(std::string(100000, 'x')));
  client.ReadUntil(std::string(100000, 'x'));
  exchange->EndEvents();
  client.ReadUntil("0\r\n\r\n");
  EXPECT_EQ(client.Ask(Get("/hello")).body, "hello");
}

TEST_F(HttpStreamTest, AClientThatDoesNotReadIsCutOff) {
  Serve();
  RawClient client(address(), 4096);
  const auto exchange = Stream(client);
  ASSERT_NE(exchange, nullptr);
  absl::Notification gone;
  exchange->OnGone([&gone] { gone.Notify(); });
  const std::string event = "data: " + std::string(10000, 'x') + "\n\n";
  size_t sent = 0;
  while (exchange->SendEvents(event)) {
    sent += event.size();
    ASSERT_LT(sent, 64u << 20) << "nothing bounds what waits for the client";
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  EXPECT_GE(sent, options_.limits.max_stream_bytes);
  EXPECT_LT(sent, 8u << 20);
  EXPECT_TRUE(gone.WaitForNotificationWithTimeout(absl::Seconds(5)));
}

TEST_F(HttpStreamTest, TasksRunInOrderOnOneThread) {
  Serve();
  RawClient client(address());
  const auto exchange = Stream(client);
  ASSERT_NE(exchange, nullptr);
  absl::Notification done;
  std::vector<int> order;
  std::thread::id id;
  for (int i = 0; i < 100; ++i) {
    exchange->Post([&order, &id, i] {
      if (i == 0) id = std::this_thread::get_id();
      EXPECT_EQ(std::this_thread::get_id(), id);
      order.push_back(i);
    });
  }
  exchange->Post([&, exchange] {
    exchange->SendEvents("data: last\n\n");
    exchange->EndEvents();
    done.Notify();
  });
  ASSERT_TRUE(done.WaitForNotificationWithTimeout(absl::Seconds(5)));
  ASSERT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(client.ReadResponse().body, "data: last\n\n");
}

TEST_F(HttpStreamTest, ManyThreadsFeedManyStreams) {
  Serve();
  constexpr int kStreams = 64, kThreads = 4, kEvents = 200;
  std::vector<std::unique_ptr<RawClient>> clients;
  std::vector<std::shared_ptr<Exchange>> streams;
  for (int i = 0; i < kStreams; ++i) {
    clients.push_back(std::make_unique<RawClient>(address()));
    streams.push_back(Stream(*clients.back()));
    ASSERT_NE(streams.back(), nullptr);
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&streams, t] {
      for (int event = 0; event < kEvents; ++event) {
        for (int i = t; i < kStreams; i += kThreads) {
          EXPECT_TRUE(streams[i]->SendEvents(absl::StrCat("data: ", i, " ", event, "\n\n")));
        }
      }
      for (int i = t; i < kStreams; i += kThreads) streams[i]->EndEvents();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < kStreams; ++i) {
    std::string expected;
    for (int event = 0; event < kEvents; ++event) {
      absl::StrAppend(&expected, "data: ", i, " ", event, "\n\n");
    }
    ASSERT_EQ(clients[i]->ReadResponse().body, expected);
  }
}

TEST_F(HttpStreamTest, AStormOfDisconnectsLeavesNothing) {
  Serve();
  std::atomic<int> gone = 0;
  std::vector<std::unique_ptr<RawClient>> clients;
  std::vector<std::shared_ptr<Exchange>> streams;
  for (int i = 0; i < 300; ++i) {
    clients.push_back(std::make_unique<RawClient>(address()));
    streams.push_back(Stream(*clients.back()));
    ASSERT_NE(streams.back(), nullptr);
    streams.back()->OnGone([&gone] { ++gone; });
  }
  std::atomic<bool> stop = false;
  std::thread feeder([&] {
    while (!stop) {
      for (const auto& stream : streams) stream->SendEvents("data: token\n\n");
    }
  });
  for (size_t i = 0; i < clients.size(); ++i) {
    if (i % 2 == 0) {
      clients[i]->Close();
    } else {
      clients[i]->Reset();
    }
  }
  for (int i = 0; i < 500 && (gone < 300 || server_->num_connections() > 0); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  stop = true;
  feeder.join();
  EXPECT_EQ(gone, 300);
  EXPECT_EQ(server_->num_connections(), 0u);
}

TEST_F(HttpStreamTest, ExchangesOutliveTheServer) {
  Serve();
  RawClient client(address());
  const auto exchange = Stream(client);
  ASSERT_NE(exchange, nullptr);
  server_.reset();
  EXPECT_FALSE(exchange->SendEvents("data: 1\n\n"));
  exchange->EndEvents();
  exchange->OnGone([] {});
  exchange->Post([] {});
}

}  // namespace
}  // namespace regatta
