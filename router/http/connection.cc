// Bytes in and out of a connection; see connection.h. What they mean is in connection_requests.cc.
#include "router/http/connection.h"

#include <utility>

namespace regatta {
namespace {

// Other connections of the thread get their turn after so many reads of one.
constexpr int kReadsInTurn = 16;
// Buffers that have grown beyond this are given back when they are empty.
constexpr size_t kKeptBytes = 16 << 10;

}  // namespace

Connection::Connection(IoThread& thread, ServerState& state, Socket socket, std::string peer_ip,
                       std::string peer)
    : thread_(thread),
      state_(state),
      transport_(std::move(socket), state.tls.Get().get()),
      peer_ip_(std::move(peer_ip)),
      peer_(std::move(peer)) {}

void Connection::Start(bool refuse) {
  thread_.Add(shared_from_this());
  if (transport_.is_tls()) {
    if (refuse) return Close(true);  // Nothing can be said before the handshake.
    SetDeadline(state_.options.limits.handshake);
    return Handshake();
  }
  phase_ = Phase::kRequest;
  SetDeadline(state_.options.limits.header_read);
  if (refuse) return Refuse(503, "there are too many connections");
  Read();
}

void Connection::SetDeadline(absl::Duration from_now) {
  deadline_ns_ = thread_.NowNs() + absl::ToInt64Nanoseconds(from_now);
}

void Connection::Handshake() {
  const Io io = transport_.Handshake();
  if (io == Io::kEnd || io == Io::kBroken) return Close(false);
  if (io != Io::kDone) return Await(io);
  phase_ = Phase::kRequest;
  SetDeadline(state_.options.limits.header_read);
  Read();
}

void Connection::Await(Io what) {
  if (what == Io::kWantRead) {
    AwaitReadable();
  } else {
    AwaitWritable();
  }
}

void Connection::AwaitReadable() {
  if (std::exchange(awaits_readable_, true)) return;
  transport_.WhenReadable([self = shared_from_this()](bool open) {
    self->awaits_readable_ = false;
    if (open) self->OnReadable();
  });
}

void Connection::AwaitWritable() {
  if (std::exchange(awaits_writable_, true)) return;
  transport_.WhenWritable([self = shared_from_this()](bool open) {
    self->awaits_writable_ = false;
    if (open) self->OnWritable();
  });
}

void Connection::OnReadable() {
  if (phase_ == Phase::kHandshake) return Handshake();
  if (phase_ == Phase::kLinger) return Discard();
  Read();
  if (transport_.is_tls() && !output_.empty()) OnExchangeReady();  // A write may have waited.
}

void Connection::OnWritable() {
  if (phase_ == Phase::kHandshake) return Handshake();
  if (phase_ == Phase::kRequest) Write();
  OnExchangeReady();
  if (transport_.is_tls()) Read();  // A read may have waited.
}

void Connection::Read() {
  for (int reads = 0; phase_ == Phase::kRequest || phase_ == Phase::kAnswer; ++reads) {
    if (awaits_readable_ || end_of_input_ || (answer_ends_ && IsAhead())) return;
    if (reads == kReadsInTurn) {
      return thread_.Post([self = shared_from_this()] { self->Read(); });
    }
    size_t count = 0;
    const Io io = transport_.Read(thread_.read_buffer(), IoThread::kReadBytes, count);
    if (io == Io::kEnd || io == Io::kBroken) return OnEnd(io == Io::kBroken);
    if (io != Io::kDone) return Await(io);
    input_.append(thread_.read_buffer(), count);
    if (phase_ == Phase::kRequest) Parse();
    // While somebody works for the client reading cannot stop, for only so is it seen to go.
    if (!answer_ends_ && IsAhead()) return Close(true);
    // The kernel has nothing more now; TLS may.
    const bool all = count < IoThread::kReadBytes && !transport_.is_tls();
    if (all && (phase_ == Phase::kRequest || phase_ == Phase::kAnswer)) return AwaitReadable();
  }
}

// The client has sent more behind the request that is being answered than it may.
bool Connection::IsAhead() const {
  return phase_ == Phase::kAnswer && input_.size() > state_.options.limits.max_ahead_bytes;
}

void Connection::OnEnd(bool broken) {
  end_of_input_ = true;
  // Who only stopped sending may still read an answer that is complete. Others are taken to be
  // gone: nobody must generate for them.
  if (phase_ == Phase::kAnswer && answer_ends_ && !broken) {
    keep_alive_ = false;
    return;
  }
  Close(false);
}

bool Connection::Write() {
  while (output_used_ < output_.size()) {
    if (awaits_writable_) return false;
    size_t count = 0;
    const Io io =
        transport_.Write(output_.data() + output_used_, output_.size() - output_used_, count);
    if (io == Io::kEnd || io == Io::kBroken) {
      Close(false);
      return false;
    }
    if (io != Io::kDone) {
      if (exchange_ != nullptr) exchange_->SetUnsent(output_.size() - output_used_);
      SetDeadline(state_.options.limits.write_stall);
      Await(io);
      return false;
    }
    output_used_ += count;
  }
  output_.clear();
  if (output_.capacity() > kKeptBytes) std::string().swap(output_);
  output_used_ = 0;
  return true;
}

// Closing at once would reset the connection if the client is still sending, and could take the
// last answer away before it was read.
void Connection::Linger() {
  phase_ = Phase::kLinger;
  if (end_of_input_) return Close(false);
  transport_.EndWriting();
  SetDeadline(state_.options.limits.linger);
  Discard();
}

void Connection::Discard() {
  for (int reads = 0; reads < kReadsInTurn; ++reads) {
    size_t count = 0;
    const Io io = transport_.Read(thread_.read_buffer(), IoThread::kReadBytes, count);
    if (io == Io::kEnd || io == Io::kBroken) return Close(false);
    if (io != Io::kDone) break;
    discarded_ += count;
    if (discarded_ > 2 * state_.options.limits.max_body_bytes) return Close(true);
  }
  AwaitReadable();
}

void Connection::Close(bool abort) {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  deadline_ns_ = kNever;
  thread_.Remove(shared_from_this());
  if (abort) {
    transport_.Abort();
  } else {
    transport_.Close();
  }
  if (const auto exchange = std::move(exchange_)) exchange->Leave();
  state_.gate.Leave(peer_ip_);
}

void Connection::Abort() { Close(true); }

void Connection::CloseIfIdle() {
  if (phase_ == Phase::kRequest && parser_ == nullptr) Close(false);
}

}  // namespace regatta
