// RankOwner: the router that a rank belongs to, and until when: a router that is gone owns nothing.
// A router is known by the address of its connection, which lives as long as its Run stream does.
#pragma once

#include <functional>
#include <string>

#include "absl/time/time.h"

namespace regatta {

// Of what gRPC calls a peer: "ipv4:10.0.0.7:53422" is "10.0.0.7:53422".
std::string RouterAddress(const std::string& peer);

// One call of a router.
struct RouterCall {
  std::string router;           // address of its connection, see RouterAddress
  std::function<bool()> lives;  // false once the router no longer waits; valid during the call
};

// Not thread-safe.
class RankOwner {
 public:
  // The rank is `router`'s while `lives` says so; it is asked by Keeps, until the next change.
  void HoldWhile(std::string router, std::function<bool()> lives);
  // For the moments between its calls.
  void HoldFor(std::string router, absl::Duration time);
  void Release();
  // Nothing when another router holds it by now.
  void ReleaseBy(const std::string& router);

  // Whether the rank is kept from `router`: another one, which lives, holds it.
  bool KeepsFrom(const std::string& router) const;
  const std::string& router() const { return router_; }

 private:
  std::string router_;
  std::function<bool()> lives_;  // none: nobody's
};

}  // namespace regatta
