// One HTTP/1.1 POST to a timestamp authority (RFC 3161 section 3.4), without TLS: what comes back is signed, and nothing
// that is sent is secret. Follows no redirect, keeps no connection, reads at most limits::kTimestampBytes.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"

namespace host_tool {

struct HttpUrl {
  // Errc::usage for anything but http://HOST[:PORT][/PATH][?QUERY]; https is told apart, for there is no TLS here.
  static base::Result<HttpUrl> parse(std::string_view text);
  std::string host, port, target;
  std::string text;   // as given
};

// The body of the reply. The whole exchange, names looked up included, is over when patience is. Errc::unavailable for
// everything that another authority or another time may mend: no connection, too slow, a status other than 200, another
// content type; Errc::too_large.
base::Result<base::Bytes> post_timestamp_query(const HttpUrl& url, base::ByteView query, std::chrono::milliseconds patience);

}  // namespace host_tool
