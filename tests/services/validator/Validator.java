package services;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.SingleValidationMessage;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;

/**
 * HAPI's validator for R4, offline: a resource a line on standard input, a JSON array of its issues a line on standard
 * output, in the same order. It ends with its input.
 */
public class Validator {
  public static void main(String[] args) throws Exception {
    PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, "UTF-8");
    System.setOut(System.err);  // whatever else is printed is no answer
    FhirContext context = FhirContext.forR4();
    FhirInstanceValidator instances = new FhirInstanceValidator(new ValidationSupportChain(
        new DefaultProfileValidationSupport(context), new CommonCodeSystemsTerminologyService(context),
        new InMemoryTerminologyServerValidationSupport(context)));
    instances.setAnyExtensionsAllowed(true);
    FhirValidator validator = context.newValidator().registerValidatorModule(instances);
    ObjectMapper json = new ObjectMapper();
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
    for (String line; (line = in.readLine()) != null; ) {
      ArrayNode issues = json.createArrayNode();
      for (SingleValidationMessage found : validator.validateWithResult(line).getMessages()) {
        issues.addObject().put("severity", String.valueOf(found.getSeverity().getCode()))
            .put("location", found.getLocationString()).put("kind", found.getMessageId()).put("text", found.getMessage());
      }
      out.println(json.writeValueAsString(issues));
    }
  }
}
