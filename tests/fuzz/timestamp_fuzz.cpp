// Replies of timestamp authorities, queries, and tokens, from any bytes.
#include <cstddef>
#include <cstdint>

#include "crypto/timestamp.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView bytes(data, size);
  if (const auto token = crypto::token_of_reply(bytes))
    if (const auto parsed = crypto::TimestampToken::parse(*token)) (void)parsed->chain({});
  if (const auto parsed = crypto::TimestampToken::parse(bytes)) (void)parsed->chain({});
  if (const auto query = crypto::TimestampQuery::parse(bytes)) {
    // What parses has the same meaning written again.
    const auto again = crypto::TimestampQuery::parse(crypto::timestamp_query(query->imprint, {}, query->policy));
    base::require(again.has_value() && again->imprint == query->imprint && again->policy == query->policy,
                  "a query changed when written again");
  }
  const crypto::TimestampQuery asked{crypto::sha256({}), {1, 2, 3}, {}};
  base::require(!crypto::token_answering(bytes, asked, {}), "a token for nobody's question was taken");
  if (const auto policy = crypto::policy_from_text(base::as_text(bytes)))
    base::require(!policy->empty(), "an OID without octets");
  return 0;
}
