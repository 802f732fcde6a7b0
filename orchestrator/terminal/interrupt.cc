// Signal handlers that set a flag; see interrupt.h.
#include "orchestrator/terminal/interrupt.h"

#include <signal.h>

#include <initializer_list>

namespace regatta {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "signal handlers may only use such");

void OnSignal(int) { interrupted.store(true); }

void Install() {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESETHAND;  // the second signal has its default effect
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction inherited = {};
    // What the caller ignores, as nohup does SIGHUP, stays ignored.
    if (::sigaction(signal, nullptr, &inherited) == 0 && inherited.sa_handler == SIG_IGN) continue;
    ::sigaction(signal, &action, nullptr);
  }
}

}  // namespace

const std::atomic<bool>& InterruptFlag() {
  static const bool installed = (Install(), true);
  (void)installed;
  return interrupted;
}

}  // namespace regatta
