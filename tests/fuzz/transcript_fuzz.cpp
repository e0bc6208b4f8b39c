// Transcripts of ceremonies: canonical ones are written as they were read, and checking any of them ends.
#include <cstdint>

#include "crypto/transparency/transcript.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = base::as_text({data, size});
  const base::Result<transparency::SignedTranscript> whole = transparency::SignedTranscript::from_json(text);
  if (!whole) return 0;
  std::string_view body = text;
  if (body.back() == '\n') body.remove_suffix(1);
  base::require(whole->to_json() == body, "a transcript is not written as it was read");
  base::require(!transparency::check_transcript(*whole, {}).empty(), "nothing was checked");
  return 0;
}
