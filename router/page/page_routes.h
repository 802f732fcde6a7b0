// The chat page as routes of an HTTP server.
#pragma once

#include "router/http/http_server.h"

namespace regatta {

// GET / is the page, GET /page/NAME what it loads. All without a key: the page asks for one where
// the API needs it. Nothing is loaded from elsewhere, and the content security policy sees to that.
// Browsers keep the files and ask by ETag whether they still hold.
void AddPageRoutes(HttpServer& server);

}  // namespace regatta
