SwaggerUIBundle({
  url: "/schema/openapi.json",
  dom_id: "#app",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
