#include "usb/files/partial_parcel.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/support/parcels.hpp"
#include "tests/support/temp_dir.hpp"

namespace usb {
namespace {

using base::Bytes;
using base::Errc;
namespace fs = std::filesystem;
using namespace std::chrono_literals;

const std::string kId = tests::some_id('a');
const Bytes kDocument = base::to_bytes(base::as_bytes("{a manifest}"));
const std::chrono::steady_clock::time_point kNow(1000s);

struct Receiving {
  const tests::TempDir dir;
  const fs::path part = dir / (kId + ".part");
  const Bytes first = tests::some_bytes(50'000, 1);
  const Bytes second = tests::some_bytes(300'000, 2);

  PartialParcel open() const { return *PartialParcel::open(dir.path(), kId, ParcelKind::request, crypto::sha256(kDocument)); }
  static void put(PartialParcel& parcel, const std::string& path, const Bytes& bytes) {
    ASSERT_TRUE(parcel.begin_file(path, bytes.size(), 0));
    ASSERT_TRUE(parcel.write(bytes, kNow));
    ASSERT_TRUE(parcel.end_file(crypto::sha256(bytes)));
  }
  // One whole file, and 200,000 bytes of another, of which 150,000 were certainly on the disk.
  void receive_some() const {
    PartialParcel parcel = open();
    put(parcel, "files/a.sys", first);
    ASSERT_TRUE(parcel.begin_file("files/b.sys", second.size(), 0));
    ASSERT_TRUE(parcel.write(base::ByteView(second).first(150'000), kNow + 1s));
    ASSERT_TRUE(parcel.write(base::ByteView(second).subspan(150'000, 50'000), kNow + 1s + 10ms));
  }
  void finish(PartialParcel& parcel, std::uint64_t offset) const {
    ASSERT_TRUE(parcel.begin_file("files/b.sys", second.size(), offset));
    ASSERT_TRUE(parcel.write(base::ByteView(second).subspan(offset), kNow));
    ASSERT_TRUE(parcel.end_file(crypto::sha256(second)));
    put(parcel, "request.dsse.json", kDocument);
    ASSERT_TRUE(parcel.commit(IfThere::refuse));
    const auto files = tests::all_files(dir / kId);
    EXPECT_EQ(files.size(), 3U) << "and no journal";
    EXPECT_EQ(files.at("files/b.sys"), second);
    EXPECT_FALSE(fs::exists(part));
  }
};

TEST(PartialParcel, SaysByContentHowFarItCameAndGoesOnThere) {
  const Receiving receiving;
  receiving.receive_some();
  EXPECT_FALSE(fs::exists(receiving.dir / kId)) << "nothing half-received can be seen";
  PartialParcel parcel = receiving.open();
  const Standing& standing = parcel.standing();
  EXPECT_EQ(standing.files, 1U);
  FileListDigest list;
  list.add("files/a.sys", receiving.first.size(), crypto::sha256(receiving.first));
  EXPECT_EQ(standing.list, std::move(list).finish());
  EXPECT_EQ(standing.path, "files/b.sys");
  EXPECT_EQ(standing.size, receiving.second.size());
  EXPECT_EQ(standing.bytes, 250'000U);
  ASSERT_EQ(standing.checkpoints.size(), 2U);
  EXPECT_EQ(standing.checkpoints[0].size, 200'000U);
  EXPECT_EQ(standing.checkpoints[0].sha256, crypto::sha256(base::ByteView(receiving.second).first(200'000)));
  EXPECT_EQ(standing.checkpoints[1].size, 150'000U);
  EXPECT_EQ(standing.checkpoints[1].sha256, crypto::sha256(base::ByteView(receiving.second).first(150'000)));
  receiving.finish(parcel, 200'000);
}

TEST(PartialParcel, GoesOnAtWhatWasCertainlyOnTheDiskWhenAPowerCutSpoiltTheRest) {
  const Receiving receiving;
  receiving.receive_some();
  {   // what was not fsynced: pages of zeros
    std::fstream file(receiving.part / "files/b.sys.part", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(160'000);
    file << std::string(40'000, '\0');
  }
  PartialParcel parcel = receiving.open();
  ASSERT_EQ(parcel.standing().checkpoints.size(), 2U);
  EXPECT_NE(parcel.standing().checkpoints[0].sha256, crypto::sha256(base::ByteView(receiving.second).first(200'000)));
  EXPECT_EQ(parcel.standing().checkpoints[1].sha256, crypto::sha256(base::ByteView(receiving.second).first(150'000)));
  receiving.finish(parcel, 150'000);
}

TEST(PartialParcel, LivesWithAJournalThatWasTornAnywhere) {
  const Receiving receiving;
  receiving.receive_some();
  const fs::path journal = receiving.part / "journal.part";
  const auto whole = fs::file_size(journal);
  for (std::uintmax_t size = whole; size-- > 0;) {
    fs::resize_file(journal, size);
    const PartialParcel parcel = receiving.open();
    EXPECT_LE(parcel.standing().files, 1U);
    if (parcel.standing().files == 0 && parcel.standing().path.empty()) break;   // begun anew: the journal is a new one
    ASSERT_LE(fs::file_size(journal), size) << "the torn record is cut off";
  }
  PartialParcel parcel = receiving.open();
  EXPECT_EQ(parcel.standing().bytes, 0U);
  Receiving::put(parcel, "files/a.sys", receiving.first);
  receiving.finish(parcel, 0);
}

TEST(PartialParcel, BeginsAnewForAnotherDocumentOrWhenAFileHasGone) {
  const Receiving receiving;
  receiving.receive_some();
  {
    const auto other = PartialParcel::open(receiving.dir.path(), kId, ParcelKind::request, crypto::sha256(Bytes{1}));
    ASSERT_TRUE(other);
    EXPECT_EQ(other->standing().bytes, 0U);
    EXPECT_FALSE(fs::exists(receiving.part / "files"));
  }
  receiving.receive_some();
  fs::remove(receiving.part / "files/a.sys");
  EXPECT_EQ(receiving.open().standing().bytes, 0U);
}

TEST(PartialParcel, RefusesToGoOnWhereNothingStopped) {
  const Receiving receiving;
  receiving.receive_some();
  for (const std::uint64_t offset : {1ULL, 149'999ULL, 200'001ULL, 1ULL << 63}) {
    PartialParcel parcel = receiving.open();
    EXPECT_EQ(parcel.begin_file("files/b.sys", receiving.second.size(), offset).error().code(), Errc::malformed) << offset;
  }
  PartialParcel parcel = receiving.open();
  EXPECT_EQ(parcel.begin_file("files/c.sys", receiving.second.size(), 200'000).error().code(), Errc::malformed);
  EXPECT_EQ(parcel.begin_file("files/b.sys", receiving.second.size() + 1, 200'000).error().code(), Errc::malformed);
  EXPECT_EQ(parcel.begin_file("files/c.sys", 5, 0).error().code(), Errc::malformed) << "the half file would stay in the parcel";
}

TEST(PartialParcel, LeavesNothingWhenItIsDiscarded) {
  const Receiving receiving;
  receiving.receive_some();
  PartialParcel parcel = receiving.open();
  std::move(parcel).discard();
  { const PartialParcel gone = std::move(parcel); }
  EXPECT_FALSE(fs::exists(receiving.part));
}

TEST(PartialParcel, OldOnesAndThoseBeyondTheLimitArePruned) {
  const tests::TempDir dir;
  for (int i = 0; i < 5; ++i) {
    const std::string id = crypto::sha256(Bytes{static_cast<std::uint8_t>(i)}).hex();
    (void)*PartialParcel::open(dir.path(), id, ParcelKind::request, crypto::sha256(kDocument));
    const timespec times[2] = {{1000 + i, 0}, {1000 + i, 0}};
    for (const fs::path& file : {dir / (id + ".part/journal.part"), dir / (id + ".part")}) utimensat(AT_FDCWD, file.c_str(), times, 0);
  }
  const auto left = [&] { return std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()); };
  ASSERT_TRUE(prune_unfinished(dir.path(), 8, 1002));
  EXPECT_EQ(left(), 3);
  ASSERT_TRUE(prune_unfinished(dir.path(), 2, 0));
  EXPECT_EQ(left(), 2);
  EXPECT_TRUE(fs::exists(dir / (crypto::sha256(Bytes{4}).hex() + ".part"))) << "the newest stay";
}

}  // namespace
}  // namespace usb
