package org.dicomcast.examples;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.message.BinaryMessageDecoder;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Prints the first N changes of a topic that the group has not read: ReadTopic BOOTSTRAP TOPIC GROUP N [REGISTRY_URL]. */
public final class ReadTopic {
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  public static void main(String[] args) throws Exception {
    EventDecoder decoder = new EventDecoder(args.length > 4 ? args[4] : null);
    try (KafkaConsumer<String, byte[]> consumer = new KafkaConsumer<>(settings(args[0], args[2]))) {
      consumer.subscribe(List.of(args[1]));
      int wanted = Integer.parseInt(args[3]);
      long until = System.nanoTime() + PATIENCE.toNanos();
      while (wanted > 0) {
        if (System.nanoTime() > until) throw new IOException("no more events within " + PATIENCE);
        for (ConsumerRecord<String, byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
          if (wanted-- > 0) print(record, decoder.decode(record.value()));
        }
      }
      consumer.commitSync();
    }
  }

  private static Map<String, Object> settings(String bootstrap, String group) {
    return Map.of(
        "bootstrap.servers", bootstrap,
        "group.id", group,
        "auto.offset.reset", "earliest",
        "enable.auto.commit", false,
        // Not the default in Java: without it events of aborted transactions are read, too.
        "isolation.level", "read_committed",
        "key.deserializer", StringDeserializer.class,
        "value.deserializer", ByteArrayDeserializer.class);
  }

  private static void print(ConsumerRecord<String, byte[]> record, GenericRecord event) {
    String id = new String(record.headers().lastHeader("ce_id").value());
    System.out.println(String.join("\t", id, event.get("action").toString(), record.key(),
        event.get("sop_instance_uid").toString()));
  }

  /** Either framing of the contract, read with the schema that this program was built with. */
  private static final class EventDecoder {
    private static final Schema OURS = schema();
    private final BinaryMessageDecoder<GenericRecord> singleObject = new BinaryMessageDecoder<>(GenericData.get(), OURS);
    private final Map<Integer, Schema> writers = new HashMap<>();
    private final HttpClient http = HttpClient.newHttpClient();
    private final String registry;

    EventDecoder(String registry) {
      this.registry = registry;
    }

    /** An unknown fingerprint or schema id is an error, never decoded with another schema. */
    GenericRecord decode(byte[] value) throws IOException, InterruptedException {
      if (value[0] != 0) return singleObject.decode(value); // 0xC3 0x01, fingerprint
      int id = ByteBuffer.wrap(value, 1, 4).getInt();
      if (!writers.containsKey(id)) writers.put(id, fetch(id));
      var avro = DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, null);
      return new GenericDatumReader<GenericRecord>(writers.get(id), OURS).read(null, avro);
    }

    private Schema fetch(int id) throws IOException, InterruptedException {
      if (registry == null) throw new IOException("the event needs a Schema Registry: give its URL");
      HttpRequest request = HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + id)).build();
      HttpResponse<String> answer = http.send(request, HttpResponse.BodyHandlers.ofString());
      if (answer.statusCode() != 200) throw new IOException("schema " + id + ": " + answer.statusCode());
      return new Schema.Parser().parse(new ObjectMapper().readTree(answer.body()).get("schema").asText());
    }

    private static Schema schema() {
      try (InputStream file = ReadTopic.class.getResourceAsStream("/dicom_change_event.avsc")) {
        return new Schema.Parser().parse(file);
      } catch (IOException error) {
        throw new IllegalStateException(error);
      }
    }
  }
}
