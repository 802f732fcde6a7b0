// Which threads of this process read sockets for gRPC.
#pragma once

namespace regatta {

// Has each thread that waits at a completion queue poll the queue's own sockets. By default one
// thread of the process polls them all, reads what came for the others and wakes them: a token
// would be late by another thread's turn, and its cost be counted on a thread that is no client.
// For processes with few connections. Has to come before anything else of gRPC, later calls do
// nothing; GRPC_POLL_STRATEGY in the environment wins. Programs that are started do not inherit it.
void PollOwnSockets();

}  // namespace regatta
