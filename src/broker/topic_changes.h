// Changes of topics through the controller, and the wait until this node serves what they made: an
// answer that a client gets is true for its next request.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "broker/request_context.h"
#include "wire/messages/create_partitions_response.h"
#include "wire/messages/create_topics_request.h"
#include "wire/messages/create_topics_response.h"
#include "wire/messages/delete_topics_response.h"

namespace ottla::broker {

// Forwards and waits; the response is for `version`. An error means that no controller answered.
io::Task<io::Result<wire::CreateTopicsResponse>> create_topics(Shard& shard, rpc::Request request,
                                                               rpc::Peer peer,
                                                               std::int32_t timeout_ms,
                                                               bool validate_only);
io::Task<io::Result<wire::DeleteTopicsResponse>> delete_topics(Shard& shard, rpc::Request request,
                                                               rpc::Peer peer,
                                                               std::int32_t timeout_ms);

// `counts`: how many partitions each topic was asked to have.
io::Task<io::Result<wire::CreatePartitionsResponse>> create_partitions(
    Shard& shard, rpc::Request request, rpc::Peer peer, std::int32_t timeout_ms, bool validate_only,
    std::map<std::string, std::size_t> counts);

// Requests that this node makes itself, in a client's name: another one of the same API and version
// (`frame` has its length before it), or one that makes topics.
rpc::Request on_behalf_of(const rpc::Request& client, const Slice& frame);
rpc::Request make_create_topics(const wire::CreateTopicsRequest& body, const rpc::Request& client);

}  // namespace ottla::broker
