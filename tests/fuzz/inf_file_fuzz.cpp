// Any bytes as an INF: read as text, then as a driver's INF, then planned as a package of one.
#include <cstdint>
#include <span>

#include "crypto/formats/inf_file.hpp"
#include "crypto/package/driver_inf.hpp"
#include "crypto/package/inspection.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView bytes(data, size);
  const auto inf = formats::InfFile::parse(bytes);
  if (inf) (void)package::DriverInf::read(*inf);
  const base::MemorySource source(bytes);
  const package::Inspection found = package::inspect({{"a.inf", &source}, {"a.sys", &source}}, {"10_X64", "10_X86"}, base::Time());
  // What is found can always be sent and is the same at the other end.
  const base::Bytes sent = package::encode_inspection(found);
  const auto received = package::decode_inspection(sent);
  base::require(received.has_value() && package::encode_inspection(*received) == sent, "an inspection survives its pipe");
  return 0;
}
