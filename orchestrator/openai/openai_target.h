// Any OpenAI-compatible HTTP server as a target: one streaming request per connection at a time,
// connections kept for the next.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/http/http_url.h"
#include "orchestrator/load/target.h"
#include "orchestrator/openai/request_body.h"
#include "orchestrator/openai/wire.h"

namespace regatta {

struct OpenAiServer {
  HttpUrl url;  // with or without its "/v1"
  BodyOptions body;
  std::string api_key;  // empty = none
};

// Tokens are counted by the server's own usage where its events tell it, by events otherwise; a
// difference to the final usage comes with the last delta.
class OpenAiTarget final : public Target {
 public:
  // Resolves the host. UNAVAILABLE names it; FAILED_PRECONDITION: a proxy stands before it.
  static absl::StatusOr<std::unique_ptr<OpenAiTarget>> Make(OpenAiServer server,
                                                            absl::Duration timeout);
  ~OpenAiTarget() override;

  void Start(uint64_t tag, const GenerateRequest& request) override;
  void Cancel(uint64_t tag) override;
  void Poll(int64_t deadline_ns, TargetEvents& events) override;

 private:
  class Call;
  struct Ended {
    uint64_t tag;
    absl::Status status;
  };

  explicit OpenAiTarget(OpenAiServer server) : server_(std::move(server)) {}

  // An open connection that is not used, or null.
  std::unique_ptr<Wire> TakeIdle();
  void End(uint64_t tag, absl::Status status);
  void DeliverEnds();

  const OpenAiServer server_;
  Peer peer_;
  boost::asio::io_context io_{1};
  // Without requests Poll waits, too.
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> always_{
      io_.get_executor()};
  std::unordered_map<uint64_t, std::shared_ptr<Call>> calls_;
  std::vector<std::unique_ptr<Wire>> idle_;  // the one used last at the end
  std::vector<Ended> ended_;                 // to be told by Poll
  TargetEvents* events_ = nullptr;           // within Poll
};

}  // namespace regatta
