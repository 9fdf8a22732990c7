#include "io/fault/trace.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

#include "io/sim/test_support.h"

namespace ottla::io::fault {
namespace {

Bytes frame(std::string_view body) {
  Bytes bytes(4 + body.size());
  store_big<std::uint32_t>(bytes.data(), static_cast<std::uint32_t>(body.size()));
  std::memcpy(bytes.data() + 4, body.data(), body.size());
  return bytes;
}

std::string follow_bytewise(FrameFollower& follower, ByteView bytes) {
  std::string joined;
  for (const std::uint8_t byte : bytes) joined += follower.follow({&byte, 1});
  return joined;
}

TEST(FrameFollower, FindsEachFrameOnceHoweverTheBytesAreCut) {
  Bytes stream;
  for (std::string_view body : {"0123456789", "ab", "", "01234567"}) {
    const Bytes bytes = frame(body);
    stream.insert(stream.end(), bytes.begin(), bytes.end());
  }
  const std::string all = " frames=10:3031323334353637,2:6162,0:,8:3031323334353637";
  EXPECT_EQ(FrameFollower(8).follow(stream), all);
  FrameFollower bytewise(8);
  EXPECT_EQ(follow_bytewise(bytewise, stream),
            " frames=10:3031323334353637 frames=2:6162 frames=0: frames=8:3031323334353637");
}

TEST(FrameFollower, SkipsWhatIsSentFromFiles) {
  FrameFollower follower(8);
  Bytes head = frame(std::string(1'000, 'x'));
  head.resize(30);
  follower.follow(head);
  EXPECT_EQ(follower.skip(1'004 - 30), "");
  EXPECT_EQ(follower.follow(frame("abc")), " frames=3:616263");
}

TEST(FrameFollower, EndsTheShownBytesWhereAFileBegins) {
  FrameFollower follower(100);
  Bytes head = frame(std::string(1'000, 'x'));
  head.resize(6);
  EXPECT_EQ(follower.follow(head), "");
  EXPECT_EQ(follower.skip(1'004 - 6), " frames=1000:7878");
  EXPECT_EQ(follower.follow(frame("abc")), " frames=3:616263");
}

TEST(FrameFollower, SaysInWhichFrameAMarkStands) {
  Bytes stream;
  // the second frame ends in the middle of a mark, which does not go on in the third
  for (std::string_view body :
       {"12345678.MARK00000001.MARK00000002", "12345678MARK0000", "0003", "12345678MARK00000004"}) {
    const Bytes bytes = frame(body);
    stream.insert(stream.end(), bytes.begin(), bytes.end());
  }
  EXPECT_EQ(FrameFollower(2, "MARK").follow(stream),
            " frames=34:3132,16:3132,4:3030,20:3132 marks=00000001@1,00000002@1,00000004@4");
  FrameFollower bytewise(2, "MARK");
  EXPECT_EQ(follow_bytewise(bytewise, stream),
            " frames=34:3132 marks=00000001@1 marks=00000002@1 frames=16:3132 frames=4:3030"
            " frames=20:3132 marks=00000004@4");
}

TEST(MarkFinder, FindsMarksAcrossPieces) {
  const std::string text = "..MARK00000001.MARKMARK0002MAR MARK00000003MA";
  MarkFinder whole("MARK");
  EXPECT_EQ(describe_marks(whole.find(as_bytes(text))), " marks=00000001,MARK0002,00000003");
  MarkFinder bytewise("MARK");
  std::string joined;
  for (const char letter : text) joined += describe_marks(bytewise.find(as_bytes({&letter, 1})));
  EXPECT_EQ(joined, " marks=00000001 marks=MARK0002 marks=00000003");
  EXPECT_EQ(describe_marks(MarkFinder("").find(as_bytes(text))), "");
}

Task<int> serve_one(Env& env, TraceLog& log) {
  const auto disk = make_trace_disk(env.disk, env.shard, env.clock, log);
  const auto network = make_trace_network(env.network, env.shard, env.clock, log);
  auto listener = co_await network->listen({"host", 0});
  auto client = co_await env.network.connect((*listener)->local());
  auto server = co_await (*listener)->accept();
  (void)co_await (*client)->write(Gather(Slice::copy_of(frame("RQ......MARK00000042"))));
  Bytes into(100);
  const auto got = co_await (*server)->read_some(into);
  auto file = co_await disk->open("d/a", {.write = true, .create = true});
  (void)co_await (*file)->write_synced(0, ByteView(into).first(*got));
  (void)co_await (*server)->write(Gather(Slice::copy_of(frame("AN......"))));
  co_return 0;
}

TEST(Trace, ShowsThatTheAnswerFollowsTheFlush) {
  const std::string path = testing::TempDir() + "/trace_test.log";
  {
    const auto log = TraceLog::open(path, "MARK");
    ASSERT_TRUE(log);
    sim::World world({.seed = 1});
    sim::Node& node = world.add_node("host");
    node.disk().make_directories("d");
    EXPECT_EQ(sim::run(world, node, [&](Env& env) { return serve_one(env, *log); }), 0);
  }
  std::ifstream file(path);
  std::stringstream content;
  content << file.rdbuf();
  const std::string text = content.str();
  std::size_t at = 0;
  for (const char* next :
       {"net accept ok connection=1",
        "net read ok connection=1 bytes=24 frames=20:52512e2e2e2e2e2e marks=00000042@1",
        "file open begin path=d/a",
        "file write_synced begin path=d/a at=0 bytes=24 marks=00000042 op=3",
        "file write_synced ok op=3",
        "net write begin connection=1 bytes=12 frames=8:414e2e2e2e2e2e2e op=4",
        "net write ok connection=1 op=4"}) {
    at = text.find(next, at);
    ASSERT_NE(at, std::string::npos) << next << "\nis missing in\n" << text;
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace ottla::io::fault
